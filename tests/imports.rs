//! Imports point one way, as the crate's documentation promises: no file needs another that needs it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use syn::visit::{self, Visit};
use syn::{Item, ItemMod, ItemUse, UseTree, Visibility};

/// A module by the names on the way to it.
type Module = Vec<String>;

/// What a file says of other modules.
#[derive(Default)]
struct Names {
    /// Paths that it uses.
    used: Vec<Vec<String>>,
    /// Paths that it gives on under their last name.
    given_on: Vec<Vec<String>>,
}

impl<'a> Visit<'a> for Names {
    fn visit_item_use(&mut self, item: &'a ItemUse) {
        let paths =
            if matches!(item.vis, Visibility::Inherited) { &mut self.used } else { &mut self.given_on };
        branches(&item.tree, &mut Vec::new(), paths);
    }

    fn visit_path(&mut self, path: &'a syn::Path) {
        self.used.push(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        visit::visit_path(self, path);
    }

    // `pub(in super::super)` names who may see something, which is nothing that the file needs.
    fn visit_vis_restricted(&mut self, _: &'a syn::VisRestricted) {}

    fn visit_item_mod(&mut self, item: &'a ItemMod) {
        // A file's own tests may look at whatever they like.
        if item.ident != "tests" {
            visit::visit_item_mod(self, item);
        }
    }
}

fn branches(tree: &UseTree, way: &mut Vec<String>, paths: &mut Vec<Vec<String>>) {
    match tree {
        UseTree::Path(path) => {
            way.push(path.ident.to_string());
            branches(&path.tree, way, paths);
            way.pop();
        }
        UseTree::Group(group) => group.items.iter().for_each(|tree| branches(tree, way, paths)),
        UseTree::Name(name) if name.ident == "self" => paths.push(way.clone()),
        UseTree::Name(name) => paths.push([&way[..], &[name.ident.to_string()]].concat()),
        UseTree::Rename(rename) => paths.push([&way[..], &[rename.ident.to_string()]].concat()),
        UseTree::Glob(_) => paths.push(way.clone()),
    }
}

/// Every file under this folder, by its module.
fn files(folder: &str) -> BTreeMap<Module, Names> {
    let mut files = BTreeMap::new();
    read(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &Vec::new(), &mut files);
    files
}

fn read(folder: &Path, module: &Module, files: &mut BTreeMap<Module, Names>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let inner = || [&module[..], std::slice::from_ref(&name)].concat();
        if path.is_dir() {
            read(&path, &inner(), files);
        } else {
            let is_own = ["lib", "main", "mod"].contains(&name.as_str());
            let mut names = Names::default();
            names.visit_file(&syn::parse_file(&std::fs::read_to_string(&path).unwrap()).unwrap());
            files.insert(if is_own { module.clone() } else { inner() }, names);
        }
    }
}

/// The file that a path of `module` leads into, by way of what others give on.
fn target(files: &BTreeMap<Module, Names>, module: &Module, path: &[String], depth: usize) -> Option<Module> {
    let (mut at, mut rest) = match path.first()?.as_str() {
        "crate" => (Vec::new(), &path[1..]),
        "self" => (module.clone(), &path[1..]),
        "super" => (module[..module.len() - 1].to_vec(), &path[1..]),
        child if files.contains_key(&[&module[..], &[child.to_owned()]].concat()) => (module.clone(), path),
        _ => return None,
    };
    while rest.first().is_some_and(|step| step == "super") {
        at.pop();
        rest = &rest[1..];
    }
    while let Some(step) = rest.first() {
        let inner = [&at[..], std::slice::from_ref(step)].concat();
        if !files.contains_key(&inner) {
            break;
        }
        (at, rest) = (inner, &rest[1..]);
    }
    let given_on = |step: &String| files[&at].given_on.iter().find(|path| path.last() == Some(step));
    match rest.first().and_then(given_on) {
        Some(path) if depth < 4 => target(files, &at, path, depth + 1),
        _ => Some(at),
    }
}

#[test]
fn no_file_needs_another_that_needs_it() {
    one_way("src", 300);
    one_way("tool", 50);
}

/// No file under this folder needs another that needs it; so many needs are found at the least.
fn one_way(folder: &str, least: usize) {
    let files = files(folder);
    let mut needs: BTreeMap<&Module, BTreeSet<Module>> = files
        .iter()
        .map(|(module, names)| {
            let targets = names.used.iter().filter_map(|path| target(&files, module, path, 0));
            (module, targets.filter(|other| other != module).collect())
        })
        .collect();
    assert!(needs.values().map(BTreeSet::len).sum::<usize>() > least, "the imports were not found");
    // What needs nothing that is left, or is needed by nothing, is taken away, until only circles are.
    loop {
        let left: BTreeSet<Module> = needs.keys().map(|module| (*module).clone()).collect();
        needs.values_mut().for_each(|others| others.retain(|other| left.contains(other)));
        let needed: BTreeSet<Module> = needs.values().flatten().cloned().collect();
        needs.retain(|module, others| !others.is_empty() && needed.contains(*module));
        if needs.len() == left.len() {
            break;
        }
    }
    assert!(needs.is_empty(), "files that need each other: {needs:#?}");
}

#[test]
fn every_item_of_the_crate_root_is_a_room_and_nothing_else() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs");
    let items = syn::parse_file(&std::fs::read_to_string(root).unwrap()).unwrap().items;
    assert!(items.iter().all(|item| matches!(item, Item::Mod(_))), "something lives in lib.rs");
}
