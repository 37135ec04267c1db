//! `rules` and `default_policy`: which policy a request falls under.

use std::rc::Rc;

use super::defaults;
use super::reader::{Item, Refused, Section, Spot, all};
use crate::policy::{Match, Policy, Rule};
use crate::request::host_of;

/// The rules in their order.
pub(super) fn rules(root: &Section<'_>, policies: &Policies) -> Result<Vec<Rule>, Refused> {
    let items = root.elements("rules")?;
    let rules = all(items.iter().map(|item| rule(item.section(&["match", "policy"])?, policies)))?;
    for (index, (item, rule)) in items.iter().zip(&rules).enumerate() {
        let before = rules.iter().take(index);
        if let Some(first) = before.into_iter().position(|other| covers(&other.matches, &rule.matches)) {
            item.warn(&format!("never reached, for rules[{first}] holds wherever this one does"));
        }
    }
    Ok(rules)
}

/// The policies, or why they are not known.
type Policies = Result<Vec<Rc<Policy>>, Refused>;

fn rule(section: Section<'_>, policies: &Policies) -> Result<Rule, Refused> {
    let matches = match_of(&section);
    let policy = section.required("policy")?;
    let policy = named(&section, policy.text()?, policy.spot, policies);
    Ok(Rule { matches: matches?, policy: policy? })
}

/// The policy of that name.
pub(super) fn named(
    section: &Section<'_>,
    name: &str,
    spot: Spot<'_>,
    policies: &Policies,
) -> Result<Rc<Policy>, Refused> {
    let names: Vec<&str> = match policies {
        Ok(policies) => match policies.iter().find(|policy| policy.name == name) {
            Some(policy) => return Ok(Rc::clone(policy)),
            None => policies.iter().map(|policy| policy.name.as_str()).collect(),
        },
        Err(refused) => {
            let names = section.names_in("policies");
            if names.contains(&name) || name == defaults::POLICY {
                return Err(*refused);
            }
            names
        }
    };
    let wanted = if names.is_empty() {
        "a section under policies".to_owned()
    } else {
        format!("one of {}", names.join(", "))
    };
    Err(spot.refuse(&format!("expected {wanted}, got {name:?}")))
}

fn match_of(section: &Section<'_>) -> Result<Match, Refused> {
    let section = section.section("match", &["hosts", "path", "path_prefix", "methods", "route_names"])?;
    let mut matches = Match::default();
    for host in some(&section, "hosts")? {
        matches.hosts.push(host.host()?);
    }
    for method in some(&section, "methods")? {
        matches.methods.push(method.method()?.to_owned());
    }
    for name in some(&section, "route_names")? {
        matches.route_names.push(name.text()?.to_owned());
    }
    if let Some(prefix) = section.get("path_prefix") {
        matches.path_prefix = Some(prefix.normal_path()?.to_owned());
    }
    if let Some(item) = section.get("path") {
        let path = item.normal_path()?;
        if let Some(prefix) = matches.path_prefix.as_ref().filter(|prefix| !path.starts_with(prefix.as_str()))
        {
            return Err(item.wrong(&format!("a path that begins with path_prefix {prefix:?}")));
        }
        matches.path = Some(path.to_owned());
    }
    Ok(matches)
}

/// A list that is not empty where it is there: nothing would match an empty one.
fn some<'c>(section: &Section<'c>, key: &str) -> Result<Vec<Item<'c>>, Refused> {
    let Some(list) = section.get(key) else { return Ok(Vec::new()) };
    let elements = list.elements()?;
    if elements.is_empty() {
        Err(list.error("at least one value", "none, which nothing matches"))
    } else {
        Ok(elements)
    }
}

/// Whether `wide` holds wherever `narrow` does.
fn covers(wide: &Match, narrow: &Match) -> bool {
    let any_of = |wide: &[String], narrow: &[String]| {
        wide.is_empty() || !narrow.is_empty() && narrow.iter().all(|value| wide.contains(value))
    };
    let begins = |prefix: &String| {
        [&narrow.path, &narrow.path_prefix]
            .into_iter()
            .flatten()
            .any(|path| path.starts_with(prefix.as_str()))
    };
    let is_host = |narrow: &String| {
        let is = |wide: &String| wide == narrow || wide.as_bytes() == host_of(narrow.as_bytes());
        wide.hosts.iter().any(is)
    };
    let hosts = wide.hosts.is_empty() || !narrow.hosts.is_empty() && narrow.hosts.iter().all(is_host);
    hosts
        && any_of(&wide.methods, &narrow.methods)
        && any_of(&wide.route_names, &narrow.route_names)
        && (wide.path.is_none() || wide.path == narrow.path)
        && wide.path_prefix.as_ref().is_none_or(begins)
}
