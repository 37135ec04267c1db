//! `check` on resources of Istio and Envoy Gateway.

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
