//! A complete configuration from `envoy/examples/`, started as it is but for its ports, client and module.

use std::{
    collections::BTreeMap,
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use tokio::net::TcpSocket;

use super::{ROOT, envoy::Envoy, wasm_filter::wasm_file};

/// What stands before a port.
const PORT: [&str; 2] = ["port_value: ", "127.0.0.1:"];
/// Where the examples have the module.
const MODULE: &str = "target/wasm32-wasip1/release/phantom_token_filter.wasm";

pub struct Example {
    yaml: String,
    client_id: String,
    ports: BTreeMap<u16, u16>,
    environment: Vec<(String, String)>,
}

impl Example {
    /// `envoy/examples/NAME.yaml`, for the client `gw-basic` of the rig's authorization servers.
    pub fn read(name: &str) -> Self {
        let file = format!("{ROOT}/envoy/examples/{name}.yaml");
        let yaml = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{file}: {error}"));
        let (client_id, ports) = ("gw-basic".to_owned(), BTreeMap::new());
        Self { yaml, client_id, ports, environment: Vec::new() }
            .environment("GATEWAY_CLIENT_SECRET", "gw-secret")
    }

    /// The gateway is another client of the authorization server.
    pub fn client(self, client_id: &str) -> Self {
        Self { client_id: client_id.to_owned(), ..self }
    }

    /// With something in it that must be there replaced.
    pub fn with(mut self, old: &str, new: &str) -> Self {
        assert!(self.yaml.contains(old), "{old} in the example");
        self.yaml = self.yaml.replace(old, new);
        self
    }

    /// What the example expects at the loopback port `usual` is at `address`.
    pub fn server(mut self, usual: u16, address: SocketAddr) -> Self {
        self.ports.insert(usual, address.port());
        self
    }

    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts Envoy, with free ports for its own listeners.
    pub async fn start(mut self) -> Envoy {
        // Nobody else gets a port that is held so, and Envoy can listen on it nevertheless.
        let mut held = Vec::new();
        for usual in ports(&self.yaml) {
            self.ports.entry(usual).or_insert_with(|| {
                let socket = TcpSocket::new_v4().expect("a socket");
                socket.set_reuseaddr(true).expect("SO_REUSEADDR");
                socket
                    .bind(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0))
                    .expect("a free loopback port");
                let port = socket.local_addr().expect("a bound address").port();
                held.push(socket);
                port
            });
        }
        let yaml = with_ports(&self.yaml, &self.ports).replace(MODULE, &wasm_file());
        let yaml = yaml.replace("client_id: gateway,", &format!("client_id: {},", self.client_id));
        Envoy::start(&yaml, 2, &self.environment).await
    }
}

/// The ports that `yaml` names.
fn ports(yaml: &str) -> Vec<u16> {
    let after = PORT.iter().flat_map(|before| yaml.split(before).skip(1));
    after.filter_map(|rest| digits(rest).parse().ok()).collect()
}

fn with_ports(yaml: &str, ports: &BTreeMap<u16, u16>) -> String {
    PORT.iter().fold(yaml.to_owned(), |yaml, before| {
        let mut parts = yaml.split(before);
        let mut replaced = parts.next().unwrap_or_default().to_owned();
        for rest in parts {
            let usual = digits(rest);
            let port =
                usual.parse().map_or_else(|_| usual.to_owned(), |usual: u16| ports[&usual].to_string());
            replaced += &format!("{before}{port}{}", &rest[usual.len()..]);
        }
        replaced
    })
}

fn digits(text: &str) -> &str {
    &text[..text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len())]
}
