//! `check` on Envoy's own files.

use std::fs;
use std::path::Path;

use crate::golden::{Case, cases, points_into};
use crate::mutations::mutations;
use crate::run::{tool, tool_in};

const BOOTSTRAP: &str = include_str!("bootstrap.yaml");

#[test]
fn usual_mistakes_are_said_with_line_path_and_what_was_wanted() {
    let cases = cases("bootstrap");
    assert!(cases.len() >= 15);
    let wrong: Vec<&str> = cases.iter().filter(|case| !is_as_expected(case)).map(Case::name).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

fn is_as_expected(case: &Case) -> bool {
    let mut text = BOOTSTRAP.to_owned();
    for change in case.parts.chunks_exact(2) {
        let [(_, before), (_, after)] = change else { unreachable!("pairs") };
        // Within a line, too.
        let (before, after) =
            (before.strip_suffix('\n').unwrap(), after.strip_suffix('\n').unwrap_or_default());
        assert!(text.contains(before), "{}: {before:?} is not in the file", case.name());
        text = text.replacen(before, after, 1);
    }
    let said = tool(&["check", "envoy.yaml"], &[("envoy.yaml", &text)]);
    let is_error = said.text.contains(": error: ");
    assert_eq!(said.code, i32::from(is_error), "{}: {said:?}", case.name());
    points_into(&text, &said.text);
    case.is_said(&said.text)
}

#[test]
fn whatever_stands_in_a_file_it_ends_with_a_word() {
    let mut files: Vec<(String, String)> = Vec::new();
    mutations(&[BOOTSTRAP.as_bytes().to_vec()], 1_000, |bytes| {
        files.push((format!("{}.yaml", files.len()), String::from_utf8_lossy(bytes).into_owned()));
    });
    let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let said = tool(&[&["check"], names.as_slice()].concat(), &files);
    assert_eq!((said.code, said.errors.as_str()), (1, ""));
    for chunk in files.chunks(100) {
        let said = tool(&["explain", chunk[0].0, "GET", "/"], &chunk[..1]);
        assert!([0, 1].contains(&said.code), "{said:?}");
    }
}

#[test]
fn every_sample_and_example_is_clean() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let examples = fs::read_dir(root.join("envoy/examples")).unwrap().map(|entry| entry.unwrap().path());
    let files = examples.chain([root.join("envoy/envoy.yaml"), root.join("tests/tool/bootstrap.yaml")]);
    let mut count = 0;
    for file in files.map(|file| file.to_str().unwrap().to_owned()) {
        let said = tool_in(root, &["check", "--strict", &file]);
        assert_eq!((said.text.as_str(), said.code), ("no errors, no warnings\n", 0), "{file}");
        count += 1;
    }
    assert!(count >= 8);
}

#[test]
fn each_line_of_the_samples_capabilities_that_is_left_out_is_missed() {
    let sample = include_str!("../../envoy/envoy.yaml");
    let is_capability = |line: &&str| {
        let name = line.trim().strip_suffix(": {}");
        name.is_some_and(|name| name.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
    };
    let lines: Vec<&str> = sample.lines().filter(is_capability).collect();
    assert_eq!(lines.len(), 41);
    let list = sample.lines().position(|line| line.contains("allowed_capabilities:")).unwrap() + 1;
    for line in lines {
        let said = tool(
            &["check", "--strict", "envoy.yaml"],
            &[("envoy.yaml", &sample.replace(&format!("{line}\n"), ""))],
        );
        let name = line.trim().trim_end_matches(": {}");
        assert_eq!(said.code, 1, "{name}");
        let is_about = |said: &str| said.starts_with(&format!("envoy.yaml:{list}:")) && said.contains(name);
        assert!(said.text.lines().next().is_some_and(is_about), "{name}: {}", said.text);
    }
}

#[test]
fn a_listener_and_its_clusters_may_stand_in_files_of_their_own() {
    let (listeners, clusters) = BOOTSTRAP.split_once("  clusters:\n").unwrap();
    let clusters = format!("static_resources:\n  clusters:\n{clusters}");
    let files = [("listeners.yaml", listeners), ("clusters.yaml", clusters.as_str())];
    let said = tool(&["check", "listeners.yaml", "clusters.yaml"], &files);
    assert_eq!(said.text, "no errors, no warnings\n");
    let said = tool(&["check", "listeners.yaml"], &files);
    assert_eq!(said.text, "no errors, no warnings\n", "of clusters that are elsewhere nothing is known");
    let wrong = listeners.replace("cluster: authorization_server,", "cluster: nobody,");
    let said = tool(&["check", "a.yaml", "b.yaml"], &[("a.yaml", &wrong), ("b.yaml", &clusters)]);
    assert!(said.text.contains("got \"nobody\""), "{}", said.text);
}

#[test]
fn a_bootstrap_in_json_is_read_like_one_in_yaml() {
    let value: serde_json::Value = serde_yaml_ng::from_str(BOOTSTRAP).unwrap();
    let text = serde_json::to_string_pretty(&value).unwrap();
    assert_eq!(tool(&["check", "envoy.json"], &[("envoy.json", &text)]).text, "no errors, no warnings\n");
    let wrong = text.replace("\"timeout\": \"2s\"", "\"timeout\": 2");
    let line = wrong.lines().position(|line| line.contains("\"timeout\": 2")).unwrap() + 1;
    let said = tool(&["check", "envoy.json"], &[("envoy.json", &wrong)]);
    assert!(said.text.starts_with(&format!("envoy.json:{line}:")), "{}", said.text);
}

#[test]
fn a_file_that_cannot_be_read_and_a_usage_that_is_none_end_with_2() {
    let said = tool(&["check", "nowhere.yaml"], &[]);
    assert_eq!((said.code, said.text.as_str()), (2, ""));
    assert!(said.errors.contains("nowhere.yaml"), "{}", said.errors);
    assert_eq!(tool(&["check"], &[]).code, 2);
    assert_eq!(tool(&["chekc", "x"], &[]).code, 2);
}

#[test]
fn no_secret_is_shown() {
    let secret = "s3cret-that-must-not-be-shown";
    for (what, by) in [
        ("client_secret: {env: GATEWAY_CLIENT_SECRET}", format!("client_secret: {{inline: {secret}, x: 1}}")),
        ("client_secret: {env: GATEWAY_CLIENT_SECRET}", format!("client_secret: {secret}")),
        ("token: {env: REVOCATION_TOKEN}", "token: {inline: \"s3cret-\"}".to_owned()),
        ("private_key: {env: SIGNING_KEY}", format!("private_key: {{inline: {secret}}}")),
        ("private_key: {env: SIGNING_KEY}", format!("private_key: [{secret}]")),
    ] {
        let said = tool(&["check", "envoy.yaml"], &[("envoy.yaml", &BOOTSTRAP.replace(what, &by))]);
        assert_eq!(said.code, 1, "{by}");
        assert!(!said.text.contains("s3cret"), "{}", said.text);
    }
}
