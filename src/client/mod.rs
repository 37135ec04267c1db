//! The filter as a client of authorization servers: how it shows who it is, and how it comes by access tokens of its own.

mod authentication;
mod authorization;
mod credentials;

pub(crate) use authentication::Form;
pub use authentication::{ClientAuthentication, SecretEncoding};
pub use authorization::{Authorization, credentials};
pub use credentials::{ClientCredentials, Granted, NotGranted};
