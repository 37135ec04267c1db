//! The documentation says what the tool says.

use std::fs;
use std::path::Path;

use crate::golden::cases;
use crate::run::tool;

const PAGE: &str = include_str!("../../docs/check.md");

/// The blocks of a page in a language.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let begin = format!("```{language}\n");
    page.split(&begin).skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

#[test]
fn every_resource_in_the_documentation_is_clean() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let pages = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let pages = pages.filter(|path| path.extension().is_some_and(|it| it == "md"));
    let texts: Vec<String> = pages.map(|path| fs::read_to_string(path).unwrap()).collect();
    let resources = texts.iter().flat_map(|text| blocks(text, "yaml"));
    let is_ours = |text: &String| {
        let configured = ["pluginConfig:", "configPatches:", "EnvoyExtensionPolicy", "EnvoyPatchPolicy"];
        text.contains("apiVersion:") && configured.iter().any(|it| text.contains(it))
    };
    let mut count = 0;
    for resource in resources.filter(is_ours) {
        let said = tool(&["check", "--strict", "resource.yaml"], &[("resource.yaml", &resource)]);
        assert_eq!(said.text, "no errors, no warnings\n", "{resource}");
        count += 1;
    }
    assert!(count >= 6, "only {count}");
}

#[test]
fn what_check_is_said_to_say_it_says() {
    let said: Vec<String> =
        cases("bootstrap").iter().map(|case| case.parts.last().unwrap().1.clone()).collect();
    let lines = PAGE.lines().filter(|line| line.starts_with("envoy.yaml:"));
    let mut count = 0;
    for line in lines {
        assert!(said.iter().any(|text| text.lines().any(|it| it == line)), "{line}");
        count += 1;
    }
    assert_eq!(count, 2);
}

#[test]
fn every_usual_mistake_that_check_is_said_to_find_is_a_case() {
    let cases = cases("bootstrap");
    let table = PAGE.split("### The usual mistakes").nth(1).unwrap().split("\n### ").next().unwrap();
    let rows: Vec<&str> =
        table.lines().filter(|line| line.starts_with("| ") && line.contains("`check`")).collect();
    assert!(rows.len() >= 15, "{rows:?}");
    for row in rows {
        let name = row.trim_end_matches(" |").rsplit("| ").next().unwrap().trim_matches('`');
        let case = cases.iter().find(|case| case.name() == name).expect(row);
        let said = &case.parts.last().unwrap().1;
        assert!(said.contains(": error: ") || said.contains(": warning: "), "{row}: {said}");
    }
}

#[test]
fn what_explain_is_said_to_say_it_says() {
    let block = blocks(PAGE, "").into_iter().find(|block| block.contains("explain envoy.yaml")).unwrap();
    let claims = r#"{"client_id": "app", "scope": "read"}"#;
    let arguments =
        ["explain", "envoy.yaml", "GET", "https://api.example/accounts", "--claims", "alice.json"];
    let said = tool(&arguments, &[("envoy.yaml", include_str!("bootstrap.yaml")), ("alice.json", claims)]);
    for line in block.lines().skip(1) {
        let part = line.split(", ...").next().unwrap();
        assert!(said.text.contains(part), "{part}\n{}", said.text);
    }
}

#[test]
fn every_command_and_option_has_its_place() {
    let help = |command: &str| tool(&[command, "--help"], &[]).text;
    for command in ["check", "discover", "explain", "keygen", "schema"] {
        let headings = [format!("## `{command} "), format!("## `{command}`")];
        assert!(headings.iter().any(|heading| PAGE.contains(heading)), "{command}");
        let help = help(command);
        let words = help.split_whitespace().filter(|word| word.starts_with("--") && *word != "--help");
        for option in words {
            assert!(PAGE.contains(option), "{command} {option}");
        }
    }
}
