//! Servers that are fetched once, by the ordinary clients, and kept.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::rig::ROOT;

/// The folder of a server, with `makes` in it: made by `install` in it, unless it was before.
pub fn installed(name: &str, makes: &str, install: &str) -> PathBuf {
    let folder = Path::new(ROOT).join("target/servers").join(name);
    if folder.join(makes).exists() {
        return folder;
    }
    println!("  fetching {name}, which takes a while");
    _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder under target");
    let output = Command::new("sh").args(["-euc", install]).current_dir(&folder).output().expect("sh");
    assert!(
        output.status.success() && folder.join(makes).exists(),
        "{name} was not installed:\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    folder
}
