//! `check`: whatever can be seen in files of what Envoy, the filter or a control plane would otherwise say too late, or
//! never.

mod ask;
mod capabilities;
mod clusters;
mod configuration;
mod configured;
mod envoy;
mod envoy_filter;
mod gateway;
mod input;
mod istio;
mod locate;
mod manager;
mod order;
mod patch_policy;
mod plugin;
mod routes;
mod shape;
mod signals;
mod tls;
mod vm;

use clusters::Clusters;
use configuration::Configuration;
pub(crate) use configured::Configured;
use input::Document;
pub(crate) use input::File;
use plugin::{Form, Plugin};

use crate::finding::{Finding, Level};
use crate::yaml::Position;

/// All that is found, file by file and line by line.
#[derive(Default)]
pub(crate) struct Report {
    findings: Vec<(String, Finding)>,
    /// How many endpoints were asked.
    pub(crate) asked: usize,
}

/// Whether the endpoints of providers are asked, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    Files,
    Endpoints,
}

impl Report {
    /// Checks these files together: one may have the clusters that another names.
    pub(crate) fn of(files: &[File], reach: Reach) -> Self {
        let mut report = Self::default();
        let mut documents = Vec::new();
        for file in files {
            match Document::all(file) {
                Ok(all) => {
                    report
                        .findings
                        .extend(Document::unread(&all).map(|finding| (file.name.clone(), finding)));
                    documents.extend(all);
                }
                Err(finding) => report.add(file, finding),
            }
        }
        let (clusters, plugins) = (Clusters::of(&documents), plugins(&documents));
        for document in &documents {
            report.check_document(document, &documents);
        }
        for plugin in &plugins {
            report.check_plugin(plugin, &documents, &clusters);
            if reach == Reach::Endpoints {
                report.ask(plugin, &clusters);
            }
        }
        for (index, finding) in signals::check_alike(&plugins) {
            if let Some(plugin) = plugins.get(index) {
                report.add(plugin.document.file, finding);
            }
        }
        let is_patch =
            documents.iter().any(|it| it.kind() == Some("EnvoyPatchPolicy") && patch_policy::is_ours(it));
        if let Some(file) =
            files.first().filter(|_| plugins.is_empty() && !is_patch && report.findings.is_empty())
        {
            report.add(file, Finding::error(Position { line: 1, column: 1 }, "file", NOTHING));
        }
        report.findings.sort_by_key(|(file, finding)| {
            (files.iter().position(|other| other.name == *file), finding.clone())
        });
        report.findings.dedup();
        report
    }

    fn check_document(&mut self, document: &Document<'_>, others: &[Document<'_>]) {
        for (entry, first) in document.root.keys_twice() {
            let problem =
                format!("expected every key once, got it again after {first}: one of the two does not count");
            self.add(document.file, Finding::error(entry.at, &entry.key, problem));
        }
        let findings = match document.kind() {
            Some("EnvoyFilter") => envoy_filter::check(document, others),
            Some("EnvoyPatchPolicy") => patch_policy::check(document, others),
            _ => Vec::new(),
        };
        self.extend(document, findings);
    }

    fn check_plugin(&mut self, plugin: &Plugin<'_>, documents: &[Document<'_>], clusters: &Clusters<'_>) {
        let configuration = Configuration::of(plugin);
        let found = configuration.as_ref();
        self.extend(plugin.document, own_configuration(plugin, found));
        let is_patched = plugin.form == Form::EnvoyExtensionPolicy && patch_policy::sets_switch(documents);
        let findings = match plugin.form {
            Form::DynamicModule => Vec::new(),
            Form::Envoy => vm::check(plugin, found),
            Form::EnvoyFilter => {
                [vm::check(plugin, found), found.map(istio::own).unwrap_or_default()].concat()
            }
            Form::EnvoyExtensionPolicy => gateway::check(plugin, found, is_patched),
            Form::TrafficExtension | Form::WasmPlugin => istio::check(plugin, found),
        };
        self.extend(plugin.document, findings);
        self.extend(plugin.document, manager::check(plugin, found));
        self.extend(plugin.document, routes::check(plugin, found));
        self.extend(plugin.document, order::check(plugin));
        self.extend(plugin.document, manager::admin(plugin));
        let Some(configuration) = found else { return };
        self.extend(plugin.document, signals::check(plugin, configuration, is_patched));
        self.extend(plugin.document, configuration.inline_secrets());
        for (path, entry) in configuration.tree.iter().flat_map(clusters::named) {
            let name = entry.value.text().unwrap_or_default();
            match clusters.get(name) {
                Some((document, cluster)) => self.extend(document, tls::check(name, cluster)),
                None => {
                    let problem = match plugin.form {
                        Form::DynamicModule | Form::Envoy => clusters.unknown(name),
                        form if form.is_istio() => istio::cluster_name(name, documents),
                        _ => gateway::cluster_name(name, documents),
                    };
                    let finding = problem.map(|problem| Finding::error(entry.value.at, path, problem));
                    self.extend(plugin.document, finding);
                }
            }
        }
    }

    /// Asks the endpoints of a plugin whose configuration is good.
    fn ask(&mut self, plugin: &Plugin<'_>, clusters: &Clusters<'_>) {
        let Some(configuration) = Configuration::of(plugin) else { return };
        let Ok(config) = configuration.read(plugin) else { return };
        let (findings, asked) = ask::ask(&configuration, &config, clusters);
        self.extend(plugin.document, findings);
        self.asked += asked;
    }

    fn add(&mut self, file: &File, finding: Finding) {
        self.findings.push((file.name.clone(), finding));
    }

    fn extend(&mut self, document: &Document<'_>, findings: impl IntoIterator<Item = Finding>) {
        findings.into_iter().for_each(|finding| self.add(document.file, finding));
    }

    /// How many there are of a level.
    pub(crate) fn count(&self, level: Level) -> usize {
        self.findings.iter().filter(|(_, finding)| finding.level == level).count()
    }

    /// One line each.
    pub(crate) fn lines(&self) -> impl Iterator<Item = String> {
        self.findings.iter().map(|(file, finding)| format!("{file}:{finding}"))
    }
}

/// The filter, wherever it is configured.
fn plugins<'d>(documents: &'d [Document<'d>]) -> Vec<Plugin<'d>> {
    let of = |document: &'d Document<'d>| match document.kind() {
        None => envoy::plugins(document, &document.root, Form::Envoy),
        Some("EnvoyFilter") => envoy::plugins(document, &document.root, Form::EnvoyFilter),
        Some("EnvoyExtensionPolicy") => gateway::plugins(document),
        Some("TrafficExtension") => istio::plugin(document, Form::TrafficExtension).into_iter().collect(),
        Some("WasmPlugin") => istio::plugin(document, Form::WasmPlugin).into_iter().collect(),
        Some(_) => Vec::new(),
    };
    documents.iter().flat_map(of).collect()
}

/// What the module's own reader says of the configuration; where all is well, its warnings.
fn own_configuration(plugin: &Plugin<'_>, configuration: Option<&Configuration>) -> Vec<Finding> {
    let Some(configuration) = configuration else {
        return vec![Finding::error(
            plugin.at,
            "configuration",
            "expected the filter's configuration, got none",
        )];
    };
    let mut findings = Vec::new();
    match plugin.form {
        Form::DynamicModule | Form::Envoy | Form::EnvoyFilter => findings.extend(envoy::message(plugin)),
        _ if plugin.own().is_some_and(|own| own.text().is_some()) => {
            let at = plugin.configuration.map_or(plugin.at, |entry| entry.at);
            return vec![Finding::error(at, "configuration", "expected an object, got a text")];
        }
        _ => {}
    }
    match configuration.read(plugin) {
        Ok(config) => findings.extend(config.warnings.iter().map(|warning| {
            let (path, problem) = warning.split_once(": ").unwrap_or(("configuration", warning));
            Finding::warning(configuration.place(path), path, problem)
        })),
        Err(errors) => findings.extend(errors),
    }
    findings
}

const NOTHING: &str = "expected phantom-token-filter in an Envoy configuration, a WasmPlugin, a TrafficExtension, an EnvoyFilter, \
                       an EnvoyExtensionPolicy or an EnvoyPatchPolicy, got none of them";
