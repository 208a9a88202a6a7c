//! What is checked before a request is looked at, and said with every answer.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::{
    Extension,
    extract::Request,
    http::{HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::parameters::Refusal;

/// Where a request came in.
#[derive(Clone, Copy, Debug)]
pub(super) enum Caller {
    /// The admin listener: from this address.
    Tcp(SocketAddr),
    /// The control socket: from this machine.
    Control,
}

/// No page elsewhere may load what is here, not even as a picture.
const SAME_ORIGIN: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// Paths that monitoring asks by whatever name it knows a machine by. They tell no name that is
/// answered and no address of a client, so a page elsewhere gains nothing by them.
const BY_ANY_HOST: [&str; 3] = ["/metrics", "/livez", "/readyz"];

/// Lets through what may be answered: GET, on the control socket POST as well, and a `Host` that no
/// page elsewhere can have chosen.
pub(super) async fn guard(
    Extension(caller): Extension<Caller>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = match refusal(caller, &request) {
        Some(refusal) => refusal.into_response(),
        None => next.run(request).await,
    };
    let refused_method = response.status() == StatusCode::METHOD_NOT_ALLOWED;
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(SAME_ORIGIN, HeaderValue::from_static("same-origin"));
    // What is no page needs nothing at all; the page says itself what it needs.
    let policy = headers.entry(header::CONTENT_SECURITY_POLICY);
    policy.or_insert(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if refused_method {
        // A path that takes another method has said so itself.
        let allow = headers.entry(header::ALLOW);
        allow.or_insert(HeaderValue::from_static("GET"));
    }
    response
}

fn refusal(caller: Caller, request: &Request) -> Option<Refusal> {
    let may_change = matches!(caller, Caller::Control) && request.method() == Method::POST;
    if request.method() != Method::GET && !may_change {
        let why = format!("{} is not answered here; only GET is", request.method());
        return Some(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, why));
    }
    match caller {
        Caller::Control => None,
        Caller::Tcp(_) if BY_ANY_HOST.contains(&request.uri().path()) => None,
        Caller::Tcp(_) => foreign_host(request).map(|host| {
            let why = format!(
                "this is not {host:?}; ask by an address, such as http://127.0.0.1:9153/, or by \
                 localhost, so that no page elsewhere can read this through your browser"
            );
            Refusal::new(StatusCode::MISDIRECTED_REQUEST, why)
        }),
    }
}

/// The host a request is for, when it is neither an address nor this machine. A page that makes
/// its own name resolve to us (DNS rebinding) still sends that name. Only a client that is no
/// browser sends none.
fn foreign_host(request: &Request) -> Option<String> {
    let by_target = request.uri().authority().map(|authority| authority.as_str().to_owned());
    let by_header = || {
        let value = request.headers().get(header::HOST)?;
        Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    by_target.or_else(by_header).filter(|host| !is_ours(host))
}

/// Whether `HOST` or `HOST:PORT` is an address, or `localhost`.
fn is_ours(text: &str) -> bool {
    let host = match text.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        Some(_) | None => text,
    };
    let v6 = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match v6 {
        Some(v6) => v6.parse::<Ipv6Addr>().is_ok(),
        None => host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::is_ours;

    #[test]
    fn addresses_and_localhost_are_ours_and_names_are_not() {
        for host in ["127.0.0.1", "10.0.0.10:9153", "[::1]", "[::1]:9153", "LocalHost:80"] {
            assert!(is_ours(host), "{host}");
        }
        for host in ["rebind.example", "127.0.0.1.rebind.example:9153", "", "[::1", "localhost."] {
            assert!(!is_ours(host), "{host}");
        }
    }
}
