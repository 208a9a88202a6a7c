//! The keys of our DNS cookies: 16 octets each that nobody else may see, the log included.

use std::{fmt, str::FromStr};

/// The key of a keyed hash (RFC 9018 section 4: SipHash-2-4 has one of 128 bits).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CookieSecret(pub [u8; CookieSecret::LEN]);

/// The secrets by which cookies are made and known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CookieSecrets {
    /// Makes cookies.
    pub current: CookieSecret,
    /// Made cookies, or will do so: theirs are good too (RFC 9018 section 5).
    pub former: Vec<CookieSecret>,
}

/// A text that is no secret. It does not say which text: it may be one with a slip.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not 32 hexadecimal digits")]
pub struct NotASecret;

// === impl CookieSecret ===

impl CookieSecret {
    /// Octets of a secret.
    pub const LEN: usize = 16;
}

impl fmt::Debug for CookieSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CookieSecret(..)")
    }
}

/// As 32 hexadecimal digits.
impl FromStr for CookieSecret {
    type Err = NotASecret;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut octets = [0; Self::LEN];
        if text.len() != 2 * Self::LEN || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(NotASecret);
        }
        for (octet, at) in octets.iter_mut().zip((0..).step_by(2)) {
            let pair = text.get(at..at + 2).ok_or(NotASecret)?;
            *octet = u8::from_str_radix(pair, 16).map_err(|_| NotASecret)?;
        }
        Ok(Self(octets))
    }
}

#[cfg(test)]
mod tests {
    use super::{CookieSecret, NotASecret};

    #[test]
    fn a_secret_is_32_digits_and_never_printed() {
        let secret: CookieSecret = "e5e973e5a6b2a43f48e7dc849E37BFCF".parse().unwrap();
        assert_eq!((secret.0[0], secret.0[15]), (0xE5, 0xCF));
        assert_eq!(format!("{secret:?}"), "CookieSecret(..)");
        for wrong in
            ["", "e5", "+5e973e5a6b2a43f48e7dc849e37bfcf", "é5e973e5a6b2a43f48e7dc849e37bf"]
        {
            assert_eq!(wrong.parse::<CookieSecret>(), Err(NotASecret), "{wrong}");
        }
    }
}
