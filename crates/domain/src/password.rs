//! Passwords and their hashes.

use crate::Invalid;

/// bcrypt reads this many bytes and ignores the rest, so a longer password is refused, never cut.
pub const MAX_PASSWORD_BYTES: usize = 72;

/// A password as typed: not empty, at most [`MAX_PASSWORD_BYTES`] bytes. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// Refuses an empty password, one that is too long, and one with a NUL, where other bcrypt
    /// implementations stop reading.
    pub fn new(text: impl Into<String>) -> Result<Self, Invalid> {
        let text = text.into();
        if text.is_empty() || text.len() > MAX_PASSWORD_BYTES || text.contains('\0') {
            return Err(Invalid::new(format!(
                "a password must have 1 to {MAX_PASSWORD_BYTES} bytes and no NUL"
            )));
        }
        Ok(Self(text))
    }

    /// The password itself, to be hashed.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// Hashes with bcrypt and a fresh salt. Deliberately takes tens of milliseconds of CPU time.
    ///
    /// # Errors
    /// If the cost is out of bcrypt's range (4 to 31) or the system has no randomness.
    pub fn hash(&self, cost: u32) -> Result<PasswordHash, Invalid> {
        bcrypt::hash(&self.0, cost)
            .map(PasswordHash)
            .map_err(|error| Invalid::new(error.to_string()))
    }
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password(..)")
    }
}

/// A bcrypt hash in its usual form (`$2b$10$...`).
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// The cost of new hashes: about 60 ms per password on a typical core of 2026.
    pub const COST: u32 = 10;

    /// A hash read back from a store.
    pub fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// The form to store.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is the hash of the password. A damaged hash matches no password.
    pub fn verify(&self, password: &Password) -> bool {
        bcrypt::verify(&password.0, &self.0).unwrap_or(false)
    }
}

impl std::fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PasswordHash(..)")
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_password_is_verified_by_its_hash_alone() {
        let hash = Password::new("open sesame").unwrap().hash(4).unwrap();
        assert!(hash.verify(&Password::new("open sesame").unwrap()));
        assert!(!hash.verify(&Password::new("open sesame!").unwrap()));
    }

    #[test]
    fn a_password_longer_than_bcrypt_reads_is_refused_not_cut() {
        assert!(Password::new("x".repeat(72)).is_ok());
        assert!(Password::new("x".repeat(73)).is_err());
        assert!(Password::new("ü".repeat(37)).is_err());
        assert!(Password::new("").is_err());
        assert!(Password::new("a\0b").is_err());
    }

    #[test]
    fn passwords_are_never_printed() {
        let password = Password::new("open sesame").unwrap();
        assert!(!format!("{password:?} {:?}", password.hash(4).unwrap()).contains("sesame"));
    }
}
