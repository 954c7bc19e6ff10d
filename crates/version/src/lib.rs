//! The version that the programs name.

/// The version and the commit, such as `0.1.0 (1a2b3c4d5e6f)`. The build script takes the commit from
/// `DEVMASON_COMMIT`, or else from the checkout.
pub const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("DEVMASON_COMMIT"), ")");
