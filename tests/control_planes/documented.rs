//! The resources that the documentation has: what a user copies is what is applied.

use serde_json::{Value, json};

pub const README: &str = include_str!("../../README.md");
pub const ISTIO: &str = include_str!("../../docs/istio.md");
pub const ENVOY_GATEWAY: &str = include_str!("../../docs/envoy-gateway.md");

/// What stands in a page for things that are different everywhere, and what it is here.
pub struct Here {
    /// In the place of `registry.example`.
    pub registry: String,
    /// `sha256` of the image.
    pub image_digest: String,
    /// Of the module.
    pub module_digest: String,
    /// In the place of `https://as.example`.
    pub issuer: String,
    /// In the place of the client `gateway`.
    pub client_id: &'static str,
}

impl Here {
    /// The resource of this kind under a heading of a page, as it is here, in a namespace of the test's own.
    pub fn resource(&self, page: &str, heading: &str, kind: &str, namespace: &str) -> Value {
        let mut found = resources(page, heading).into_iter().filter(|resource| resource["kind"] == kind);
        let mut resource = found.next().unwrap_or_else(|| panic!("no {kind} under {heading:?}"));
        assert!(found.next().is_none(), "more than one {kind} under {heading:?}");
        self.place(&mut resource);
        resource["metadata"]["namespace"] = json!(namespace);
        resource
    }

    fn place(&self, value: &mut Value) {
        match value {
            Value::Object(members) => {
                let is_module = members.get("url").is_some_and(|url| url.to_string().contains(".wasm"));
                for (name, member) in members {
                    match (name.as_str(), &*member) {
                        ("client_id", Value::String(_)) => *member = json!(self.client_id),
                        ("sha256", _) if is_module => *member = json!(self.module_digest),
                        ("sha256", _) => *member = json!(self.image_digest),
                        _ => self.place(member),
                    }
                }
            }
            Value::Array(elements) => elements.iter_mut().for_each(|element| self.place(element)),
            Value::String(text) => {
                *text = text
                    .replace("registry.example", &self.registry)
                    .replace("https://as.example", &self.issuer);
            }
            _ => {}
        }
    }
}

/// Those under a heading, in order.
pub fn resources(page: &str, heading: &str) -> Vec<Value> {
    let (_, section) =
        page.split_once(&format!("# {heading}\n")).unwrap_or_else(|| panic!("no heading {heading:?}"));
    let end = ["\n## ", "\n### "].iter().filter_map(|next| section.find(next)).min();
    let section = &section[..end.unwrap_or(section.len())];
    let blocks = section.split("```yaml\n").skip(1).filter_map(|block| Some(block.split_once("```")?.0));
    blocks
        .map(|block| {
            serde_yaml_ng::from_str(block).unwrap_or_else(|error| panic!("{heading}: {error}\n{block}"))
        })
        .collect()
}

/// A part of the filter's own configuration under a heading: the one block that is no resource.
pub fn configuration(page: &str, heading: &str) -> Value {
    let mut found = resources(page, heading).into_iter().filter(|block| block["kind"].is_null());
    found.next().unwrap_or_else(|| panic!("no configuration under {heading:?}"))
}
