//! Configurations that are in force, by what they are called between Envoy and us: where they lie.
//!
//! Envoy's calls and streams know a configuration by that alone, and may still end while it goes on another thread. What is
//! found here stays as long as its finder wants.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::installation::Installation;

/// There are a few.
fn in_force() -> MutexGuard<'static, Vec<Arc<Installation>>> {
    static IN_FORCE: Mutex<Vec<Arc<Installation>>> = Mutex::new(Vec::new());
    IN_FORCE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// It is in force from now on. What it is called.
pub(super) fn put(installation: Arc<Installation>) -> *const Installation {
    let called = Arc::as_ptr(&installation);
    in_force().push(installation);
    called
}

/// The one that is called so.
pub(super) fn find(called: *const Installation) -> Option<Arc<Installation>> {
    in_force().iter().find(|it| Arc::as_ptr(it) == called).cloned()
}

/// The one that is called so is no more in force.
pub(super) fn take(called: *const Installation) -> Option<Arc<Installation>> {
    let mut in_force = in_force();
    let place = in_force.iter().position(|it| Arc::as_ptr(it) == called)?;
    Some(in_force.swap_remove(place))
}
