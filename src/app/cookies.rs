//! Where the secrets of DNS cookies come from: the file that the configuration names, or chance.

use std::{fs, io, path::Path};

use super::daemon::now_secs;
use crate::{
    answer::{Cookies, Settings},
    base::{Chain, CookieSecret, CookieSecrets},
    config::{Config, Place, Problem},
};

/// Secrets in a file: the one in force, the one before it and the one to come. Each costs a hash
/// for a cookie that none of them made.
const SECRETS_MAX: usize = 4;
/// Octets of the file at most, comments included.
const FILE_LEN_MAX: u64 = 64 * 1024;

/// Why a file gives no secrets. It never says what is in it.
#[derive(Debug, thiserror::Error)]
enum SecretsError {
    #[error("it cannot be read")]
    Unreadable(#[from] io::Error),
    #[error("it is longer than {FILE_LEN_MAX} octets")]
    TooLong,
    #[error("line {0} is not 32 hexadecimal digits")]
    NotASecret(usize),
    #[error("it holds no secret")]
    Empty,
    #[error("it holds more than {SECRETS_MAX} secrets")]
    TooMany,
}

/// Cookies as the configuration has them. Without a file those that are `current` stay, so that a
/// reload makes no client's cookie bad.
pub(super) fn cookies(
    config: &Config,
    current: Option<&Settings>,
) -> Result<Cookies, Box<Problem>> {
    let Some(path) = &config.serve.cookie_secret_file else {
        return Ok(match current {
            Some(current) if !current.cookies.are_shared() => current.cookies.clone(),
            Some(_) | None => Cookies::random(now_secs),
        });
    };
    let secrets = read(path).map_err(|error| {
        let what = format!("`server.cookie_secret_file` {}: {}", path.display(), Chain(&error));
        let help = "one secret a line, 32 hexadecimal digits each, as `openssl rand -hex 16` makes \
                    them; readable by the user that hubdns runs as";
        Box::new(config.places.problem(Place::CookieSecretFile, &what, "no secret in it", help))
    })?;
    Ok(Cookies::shared(secrets, now_secs))
}

fn read(path: &Path) -> Result<CookieSecrets, SecretsError> {
    if FILE_LEN_MAX < fs::metadata(path)?.len() {
        return Err(SecretsError::TooLong);
    }
    secrets(&fs::read_to_string(path)?)
}

/// The secrets of a file's text; empty lines and those that begin with `#` say nothing.
fn secrets(text: &str) -> Result<CookieSecrets, SecretsError> {
    let mut all = Vec::new();
    for (at, line) in text.lines().map(str::trim).enumerate() {
        if !line.is_empty() && !line.starts_with('#') {
            let secret: Result<CookieSecret, _> = line.parse();
            all.push(secret.map_err(|_| SecretsError::NotASecret(at + 1))?);
        }
    }
    match all.split_first() {
        None => Err(SecretsError::Empty),
        Some(_) if SECRETS_MAX < all.len() => Err(SecretsError::TooMany),
        Some((current, former)) => Ok(CookieSecrets { current: *current, former: former.to_vec() }),
    }
}

#[cfg(test)]
mod tests {
    use super::{Chain, read, secrets};

    const ONE: &str = "e5e973e5a6b2a43f48e7dc849e37bfcf";
    const TWO: &str = "445536bcd2513298075a5d379663c962";

    #[test]
    fn the_first_secret_makes_cookies_and_the_others_are_taken() {
        let read = secrets(&format!("# since June\n{ONE}\n\n  {TWO}\r\n")).unwrap();
        assert_eq!(read.current, ONE.parse().unwrap());
        assert_eq!(read.former, [TWO.parse().unwrap()]);
    }

    #[test]
    fn what_is_no_secret_is_told_by_its_line_and_not_by_its_text() {
        let why = |text: &str| secrets(text).unwrap_err().to_string();
        assert_eq!(why(&format!("{ONE}\n{TWO}0")), "line 2 is not 32 hexadecimal digits");
        assert_eq!(why("# nothing\n"), "it holds no secret");
        assert_eq!(why(&format!("{ONE}\n").repeat(5)), "it holds more than 4 secrets");
        let missing = Chain(&read("/nowhere/cookies".as_ref()).unwrap_err()).to_string();
        assert!(missing.starts_with("it cannot be read: No such file"), "{missing}");
    }
}
