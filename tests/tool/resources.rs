//! `check` on resources of Istio and Envoy Gateway.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use crate::golden::{Case, cases, points_into};
use crate::run::tool;

#[test]
fn wrong_resources_are_told_before_they_are_applied() {
    let cases = cases("resources");
    assert!(cases.len() >= 12);
    let wrong: Vec<&str> = cases.iter().filter(|case| !is_as_expected(case)).map(Case::name).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

fn is_as_expected(case: &Case) -> bool {
    let [(_, text), _] = case.parts.as_slice() else {
        panic!("{}: a resource, and what is said of it", case.name())
    };
    let said = tool(&["check", "resource.yaml"], &[("resource.yaml", text)]);
    let is_error = said.text.contains(": error: ");
    assert_eq!(said.code, i32::from(is_error), "{}: {said:?}", case.name());
    points_into(text, &said.text);
    case.is_said(&said.text)
}

/// The keys of a resource, by the path of what they are in.
type Keys = BTreeMap<String, BTreeSet<String>>;

#[test]
fn the_keys_of_istios_resources_are_those_of_its_definitions() {
    // `make istio` holds these against the definitions that Istio itself brings.
    let kinds: BTreeMap<String, Keys> =
        serde_json::from_str(include_str!("../vectors/istio-keys.json")).unwrap();
    assert_eq!(kinds.len(), 2);
    for (kind, keys) in kinds {
        for (path, keys) in keys {
            let part = json!({"url": "phantom-token-filter", "noSuchKey": 1});
            let spec = match path.as_str() {
                "spec" => json!({"url": "phantom-token-filter", "noSuchKey": 1, "wasm": part}),
                _ => json!({"wasm": part}),
            };
            let resource = json!({
                "apiVersion": "extensions.istio.io/v1alpha1", "kind": kind, "metadata": {"name": "x"}, "spec": spec,
            });
            let said = tool(&["check", "resource.yaml"], &[("resource.yaml", &resource.to_string())]);
            let refusal = format!("error: {path}: expected one of ");
            let rest = said.text.lines().find_map(|line| line.split_once(&refusal)).expect(&said.text).1;
            let known = rest.split_once(", got ").expect(rest).0.split(", ").map(str::to_owned).collect();
            assert_eq!(keys, known, "{kind} {path}");
        }
    }
}
