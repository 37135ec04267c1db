//! Programs that are fetched once, by the ordinary clients, and kept.

use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
    process::Command,
};

use super::ROOT;

/// The folder of a program that the tests in `tests/KIND` need, below `target/KIND`, with `makes` in it: made by `install` in
/// it, unless it was before and out of the same. `install` finds the repository as `$ROOT`: what is kept serves on where that has moved.
pub fn installed(kind: &str, name: &str, makes: &str, install: &str) -> PathBuf {
    let mut made_of = DefaultHasher::new();
    install.hash(&mut made_of);
    // The folder of the same name, of those that an application or a list of ours is part of.
    let ours = name.split_once('-').map_or(name, |(program, _)| program);
    hash_files(&Path::new(ROOT).join("tests").join(kind).join(ours), &mut made_of);
    let folder = Path::new(ROOT).join("target").join(kind).join(format!("{name}-{:016x}", made_of.finish()));
    if folder.join(makes).exists() {
        return folder;
    }
    println!("  fetching {name}, which takes a while");
    _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder under target");
    let mut shell = Command::new("sh");
    let output = shell.args(["-euc", install]).env("ROOT", ROOT).current_dir(&folder).output().expect("sh");
    assert!(
        output.status.success() && folder.join(makes).exists(),
        "{name} was not installed:\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    folder
}

/// The files below a folder, if there is one.
fn hash_files(folder: &Path, hasher: &mut DefaultHasher) {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder).into_iter().flatten().map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            hash_files(&path, hasher);
        } else {
            fs::read(path).expect("a file of the repository").hash(hasher);
        }
    }
}
