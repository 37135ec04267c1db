//! Which host of the filter is tested: `$FILTER_HOST` is `wasm`, which it is if not said, or `native`.

use std::{env, path::Path};

use super::ROOT;

/// What runs the filter in Envoy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host {
    /// Envoy's Wasm filter.
    Wasm,
    /// Envoy's dynamic modules.
    Native,
}

impl Default for Host {
    fn default() -> Self {
        Self::tested()
    }
}

impl Host {
    /// The type of its entry among Envoy's filters.
    pub fn filter_type(self) -> &'static str {
        match self {
            Self::Wasm => "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
            Self::Native => {
                "type.googleapis.com/envoy.extensions.filters.http.dynamic_modules.v3.DynamicModuleFilter"
            }
        }
    }

    /// The one that is tested.
    pub fn tested() -> Self {
        match env::var("FILTER_HOST").as_deref() {
            Ok("native") => Self::Native,
            Ok("wasm") | Err(_) => Self::Wasm,
            Ok(other) => panic!("FILTER_HOST is {other}, neither wasm nor native"),
        }
    }

    /// What Envoy's names of the filter's statistics begin with.
    pub fn statistics(self) -> &'static str {
        match self {
            Self::Wasm => "wasmcustom",
            Self::Native => "dynamicmodulescustom",
        }
    }

    /// What those end with that have a reason: in Wasm it stands before the name with all labels.
    pub fn labels_behind(self) -> &'static str {
        match self {
            Self::Wasm => "",
            Self::Native => r"(\.(provider|transmitter|policy|reason)\..*)?",
        }
    }

    /// A statistic's name without the labels that stand behind it.
    pub fn without_labels(self, name: &str) -> &str {
        let labels = match self {
            Self::Wasm => &[][..],
            Self::Native => &[".provider.", ".transmitter.", ".policy.", ".reason."],
        };
        let ends = labels.iter().filter_map(|label| name.find(label));
        name.split_at(ends.min().unwrap_or(name.len())).0
    }

    /// What is in every line of the filter's in Envoy's log.
    pub fn log_mark(self) -> &'static str {
        match self {
            Self::Wasm => "wasm log",
            Self::Native => "phantom_token_filter: ",
        }
    }
}

/// Where Envoy looks for dynamic modules: `$PHANTOM_TOKEN_FILTER_MODULES`, or the release build.
pub fn modules() -> String {
    let built = || format!("{ROOT}/target/release");
    let folder = env::var("PHANTOM_TOKEN_FILTER_MODULES").unwrap_or_else(|_| built());
    let file = Path::new(&folder).join("libphantom_token_filter.so");
    assert!(Host::tested() == Host::Wasm || file.exists(), "{file:?} is missing: run `make module`");
    folder
}
