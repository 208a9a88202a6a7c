//! What the SDK's errors mean to us.
//!
//! Looks at kinds and codes; where the SDK hides a kind behind a trait object, at the chain.

use std::{error::Error, iter, time::Duration};

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_ec2::error::{ErrorMetadata, ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::ConnectorError};

use crate::discover::error::{Action, Cause, DiscoverError, bounded_code};

/// "You may not", as EC2 and STS say it.
const DENIED: &[&str] = &["UnauthorizedOperation", "AccessDenied", "AccessDeniedException"];
/// "Not so fast".
pub(super) const THROTTLED: &[&str] =
    &["RequestLimitExceeded", "Throttling", "ThrottlingException"];
/// "You were somebody once". `RequestExpired` is also what a wrong clock gets.
const EXPIRED: &[&str] = &["ExpiredTokenException", "ExpiredToken", "RequestExpired"];

/// How long a call may take.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    /// Until there is a connection.
    pub(super) connect: Duration,
    /// One attempt, from the connection to the last byte.
    pub(super) attempt: Duration,
    /// All attempts of one call with the pauses between them.
    pub(super) operation: Duration,
    /// Finding credentials, AssumeRole with its attempts included.
    pub(super) credentials: Duration,
}

/// What was going on when an error came.
pub(super) struct Context<'a> {
    pub(super) action: Action,
    pub(super) role: Option<&'a str>,
    pub(super) limits: &'a Limits,
}

// === impl Context ===

impl Context<'_> {
    /// Our word for the SDK's error.
    pub(super) fn told<E>(&self, error: SdkError<E, HttpResponse>) -> DiscoverError
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        let action = self.action;
        // Before the kinds: the SDK tells missing credentials as a failure to dispatch.
        if causes(&error).any(|cause| cause.is::<CredentialsError>()) || resolver_gave_up(&error) {
            return self.credentials(error.into());
        }
        match &error {
            SdkError::ServiceError(answer) => match answer.err().code().map(str::to_owned) {
                Some(code) => self.coded(action, &code, error.into()),
                None => DiscoverError::Garbage {
                    action,
                    what: format!("HTTP {} without an error code", answer.raw().status()),
                    source: Some(error.into()),
                },
            },
            SdkError::ResponseError(_) => DiscoverError::Garbage {
                action,
                what: "it is not a whole answer of EC2's".to_owned(),
                source: Some(error.into()),
            },
            SdkError::TimeoutError(_) => DiscoverError::TimedOut {
                action,
                after: self.limit_hit(&error),
                source: error.into(),
            },
            SdkError::DispatchFailure(failure) if failure.is_timeout() => {
                DiscoverError::TimedOut { action, after: self.limits.connect, source: error.into() }
            }
            SdkError::DispatchFailure(_) => {
                DiscoverError::Unreachable { action, source: error.into() }
            }
            // What could not be built or is new in the SDK: it has no code.
            _ => DiscoverError::Service { action, code: "other".to_owned(), source: error.into() },
        }
    }

    /// The SDK says which of its limits was hit only in words.
    fn limit_hit(&self, error: &(dyn Error + 'static)) -> Duration {
        let attempt = causes(error).any(|cause| cause.to_string().contains("attempt timeout"));
        match attempt {
            true => self.limits.attempt,
            false => self.limits.operation,
        }
    }

    /// An error on the way to credentials, with which no call was made.
    pub(super) fn credentials(&self, source: Cause) -> DiscoverError {
        let action = match self.role {
            Some(_) => Action::AssumeRole,
            None => Action::Setup,
        };
        // Nothing to assume the role with counts as no credentials, not as a failed AssumeRole.
        if causes(&*source).any(is_nothing_loaded) {
            return DiscoverError::NoCredentials { source };
        }
        if let Some(code) = code_in(&*source) {
            return self.coded(action, &code, source);
        }
        if timed_out(&*source) {
            return DiscoverError::TimedOut { action, after: self.limits.credentials, source };
        }
        match self.role.is_some() && causes(&*source).any(is_connection) {
            true => DiscoverError::Unreachable { action, source },
            false => DiscoverError::NoCredentials { source },
        }
    }

    /// AWS's own code, for a call or for AssumeRole.
    pub(super) fn coded(&self, action: Action, code: &str, source: Cause) -> DiscoverError {
        let bounded = bounded_code(code);
        if DENIED.contains(&code) {
            return match (action, self.role) {
                (Action::AssumeRole, Some(role)) => {
                    DiscoverError::RoleDenied { role: role.to_owned(), code: bounded, source }
                }
                // Of the steps of the default chain we know no permission to name.
                (Action::Setup, _) => DiscoverError::NoCredentials { source },
                (action, _) => DiscoverError::Denied { action, code: bounded, source },
            };
        }
        if THROTTLED.contains(&code) {
            return DiscoverError::Throttled { action, code: bounded, source };
        }
        if EXPIRED.contains(&code) {
            return DiscoverError::ExpiredCredentials { action, code: bounded, source };
        }
        DiscoverError::Service { action, code: code.to_owned(), source }
    }
}

/// The error and all that lies behind it.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let mut next = Some(error);
    iter::from_fn(move || {
        let this = next?;
        next = this.source();
        Some(this)
    })
}

fn is_nothing_loaded(cause: &(dyn Error + 'static)) -> bool {
    matches!(cause.downcast_ref(), Some(CredentialsError::CredentialsNotLoaded(_)))
}

fn is_connection(cause: &(dyn Error + 'static)) -> bool {
    cause.downcast_ref().is_some_and(|error: &ConnectorError| error.is_io())
}

/// The SDK's own limit on finding credentials has a private type: its words are all there is.
fn resolver_gave_up(error: &(dyn Error + 'static)) -> bool {
    causes(error).any(|cause| cause.to_string().starts_with("identity resolver timed out"))
}

fn timed_out(error: &(dyn Error + 'static)) -> bool {
    let provider = |cause: &(dyn Error + 'static)| {
        matches!(cause.downcast_ref(), Some(CredentialsError::ProviderTimedOut(_)))
    };
    // "timeout occurred", "HTTP connect timeout", "request has timed out".
    let in_words = |text: &str| text.contains("timeout") || text.contains("timed out");
    causes(error).any(|cause| provider(cause) || in_words(&cause.to_string()))
}

/// The AWS code of an error whose type we cannot name: STS's are behind a trait object.
fn code_in(error: &(dyn Error + 'static)) -> Option<String> {
    causes(error).find_map(|cause| {
        let told = cause.downcast_ref::<ErrorMetadata>();
        match told.and_then(ErrorMetadata::code) {
            Some(code) => Some(code.to_owned()),
            // The errors that STS documents have types of their own, which print as their code.
            None => {
                let text = cause.to_string();
                let known = |codes: &[&'static str]| {
                    let mut codes = codes.iter();
                    codes.find(|code| text.starts_with(**code)).copied()
                };
                known(EXPIRED).or_else(|| known(DENIED)).map(str::to_owned)
            }
        }
    })
}
