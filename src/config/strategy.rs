//! `strategy`, `provider` and `providers` of a policy: how it judges tokens, and who takes part.

use std::rc::Rc;

use super::choices::StrategyName;
use super::defaults;
use super::reader::{Item, Refused, Section, Spot};
use crate::policy::Strategy;
use crate::provider::{Introspector, Provider, Validator};

/// The strategy that a policy names.
pub(super) fn strategy_name(section: &Section<'_>) -> Result<StrategyName, Refused> {
    section.get("strategy").map_or(Ok(defaults::STRATEGY), |strategy| strategy.one_of(&StrategyName::ALL))
}

/// A provider that a policy names.
pub(super) struct Named<'c, 'p> {
    /// Its place among all providers.
    pub(super) index: usize,
    provider: &'p Provider,
    /// Where it is named.
    spot: Spot<'c>,
}

/// The providers that the policy names; if there is but one, it needs no naming.
pub(super) fn named_providers<'c, 'p>(
    section: &Section<'c>,
    strategy: StrategyName,
    providers: &'p [Provider],
) -> Result<Vec<Named<'c, 'p>>, Refused> {
    let wanted = || {
        let names: Vec<&str> = providers.iter().map(|provider| provider.name.as_str()).collect();
        format!("one of {}", names.join(", "))
    };
    let find = |item: Item<'c>| {
        let mut places = providers.iter().enumerate();
        let found = places.find(|(_, provider)| item.value == provider.name.as_str());
        let (index, provider) = found.ok_or_else(|| item.wrong(&wanted()))?;
        Ok(Named { index, provider, spot: item.spot })
    };
    match (section.get("provider"), section.get("providers")) {
        (Some(_), Some(list)) => Err(list.error("provider or providers", "both")),
        (Some(item), None) => Ok(vec![find(item)?]),
        (None, Some(list)) => {
            let elements = list.elements()?;
            if matches!(strategy, StrategyName::Introspection | StrategyName::PhantomToken) {
                let wanted = format!("provider, for strategy {} asks one", strategy.as_written());
                return Err(list.error(&wanted, "providers"));
            }
            if elements.is_empty() {
                return Err(list.error("at least one provider", "none"));
            }
            let mut named: Vec<Named<'_, '_>> = Vec::new();
            for element in elements {
                let one = find(element)?;
                if named.iter().any(|other| other.index == one.index) {
                    return Err(
                        element.error("a provider of its own", &format!("{:?} again", one.provider.name))
                    );
                }
                named.push(one);
            }
            Ok(named)
        }
        (None, None) => match providers {
            [only] => Ok(vec![Named { index: 0, provider: only, spot: section.spot.key("provider") }]),
            _ => Err(section.error("provider", &format!("expected {}, got none", wanted()))),
        },
    }
}

/// Fails if the policy names a provider that nobody has written down, well or badly.
fn unwritten(section: &Section<'_>) -> Result<(), Refused> {
    let names = section.names_in("providers");
    let is_written = |item: &Item<'_>| item.value.as_str().is_some_and(|name| names.contains(&name));
    let mut items = section.get("provider").into_iter().chain(section.elements("providers")?);
    let other = items.find(|item| !is_written(item));
    other.map_or(Ok(()), |item| Err(item.wrong(&format!("one of {}", names.join(", ")))))
}

/// How a policy judges tokens.
pub(super) fn strategy(
    section: &Section<'_>,
    name: StrategyName,
    providers: &Result<Vec<Provider>, Refused>,
) -> Result<Strategy, Refused> {
    if name == StrategyName::Allow {
        return Ok(Strategy::Allow);
    }
    let providers = match providers {
        Ok(providers) => providers,
        Err(refused) => return unwritten(section).and(Err(*refused)),
    };
    let named = named_providers(section, name, providers)?;
    Ok(match name {
        StrategyName::Allow => Strategy::Allow,
        StrategyName::Auto => auto(section, &named)?,
        StrategyName::Introspection | StrategyName::PhantomToken => match named.as_slice() {
            [only] => Strategy::Introspect(introspector(only, name)?),
            _ => return Err(section.error("provider", "expected one provider, got several")),
        },
        StrategyName::Jwt => {
            distinct_issuers(&named)?;
            Strategy::Jwt(named.iter().map(|it| validator(it, name)).collect::<Result<_, _>>()?)
        }
        StrategyName::JwtAndIntrospection => {
            distinct_issuers(&named)?;
            let both = named.iter().map(|it| Ok((validator(it, name)?, introspector(it, name)?)));
            Strategy::JwtAndIntrospection(both.collect::<Result<_, Refused>>()?)
        }
    })
}

/// Every provider with keys for its own JWTs, and the first that can be asked for all else.
fn auto(section: &Section<'_>, named: &[Named<'_, '_>]) -> Result<Strategy, Refused> {
    distinct_issuers(named)?;
    let asked = named.iter().find_map(|it| Some((it, Rc::clone(it.provider.introspector.as_ref()?))));
    let validators: Vec<_> = named.iter().filter_map(|it| it.provider.validator.clone()).collect();
    let Some((asked, introspector)) = asked else {
        return Err(none_with("introspection", section, named));
    };
    if validators.is_empty() {
        return Err(none_with("jwks", section, named));
    }
    let is_idle = |it: &&Named<'_, '_>| it.provider.validator.is_none() && it.index != asked.index;
    match named.iter().find(is_idle) {
        Some(idle) => {
            let (one, other) = (&idle.provider.name, &asked.provider.name);
            let problem = format!(
                "expected a provider with jwks, for what is validated by no keys is introspected at {other:?}, got {one:?} without"
            );
            Err(idle.spot.refuse(&problem))
        }
        None => Ok(Strategy::Auto(validators, introspector)),
    }
}

/// The side of a provider that is asked.
fn introspector(named: &Named<'_, '_>, strategy: StrategyName) -> Result<Rc<Introspector>, Refused> {
    named.provider.introspector.clone().ok_or_else(|| without("introspection", named, strategy))
}

/// The side of a provider whose JWTs are validated here.
fn validator(named: &Named<'_, '_>, strategy: StrategyName) -> Result<Rc<Validator>, Refused> {
    named.provider.validator.clone().ok_or_else(|| without("jwks", named, strategy))
}

fn without(key: &str, named: &Named<'_, '_>, strategy: StrategyName) -> Refused {
    let (strategy, name) = (strategy.as_written(), &named.provider.name);
    let problem = format!("expected a provider with {key} under strategy {strategy}, got {name:?} without");
    named.spot.refuse(&problem)
}

fn none_with(key: &str, section: &Section<'_>, named: &[Named<'_, '_>]) -> Refused {
    match named {
        [only] => without(key, only, StrategyName::Auto),
        _ => {
            let problem = format!("expected a provider with {key} among them under strategy auto, got none");
            section.error("providers", &problem)
        }
    }
}

/// Of two providers with one issuer, the second would never be chosen.
fn distinct_issuers(named: &[Named<'_, '_>]) -> Result<(), Refused> {
    let mut issuers: Vec<&str> = Vec::new();
    for Named { provider, spot, .. } in named {
        let Some(validator) = &provider.validator else { continue };
        let issuer = validator.rules.issuer.as_str();
        if issuers.contains(&issuer) {
            let problem = format!("expected a provider with an issuer of its own, got {issuer:?} again");
            return Err(spot.refuse(&problem));
        }
        issuers.push(issuer);
    }
    Ok(())
}
