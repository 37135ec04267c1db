//! Envoy as one program, for those that start it themselves.

use std::{fs, path::Path, process::Command};

use crate::rig::{ROOT, process::envoy_command};

/// A program in `directory` that is Envoy: its command may be several words.
pub fn launcher(directory: &Path) -> String {
    let envoy = envoy_command();
    // A program in the repository is named from there; one without a folder is looked for as usual.
    let program = match Path::new(envoy.get_program()) {
        path if path.components().count() > 1 => Path::new(ROOT).join(path),
        name => name.to_owned(),
    };
    let words: Vec<_> = envoy.get_args().map(|word| word.to_string_lossy()).collect();
    let file = directory.join("launch-envoy");
    let state = directory.join("func-e").display().to_string();
    let script = format!(
        "#!/bin/sh\nexport FUNC_E_STATE_HOME='{state}' FUNC_E_RUNTIME_DIR='{state}'\nexec '{}' {} \"$@\"\n",
        program.display(),
        words.join(" ")
    );
    fs::write(&file, script).expect("the launcher, written");
    let made = Command::new("chmod").arg("+x").arg(&file).status();
    assert!(made.is_ok_and(|status| status.success()), "chmod +x");
    file.to_string_lossy().into_owned()
}
