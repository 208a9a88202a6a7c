//! Reads the question out of a request, or says in words why there is none.

use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode, Uri,
    body::Incoming,
    header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue},
};
use tokio::time::timeout;

use super::{super::QUERY_MAX, body::Body};
use crate::telemetry::HttpStatus;

/// The media type of a DNS message (RFC 8484 section 6).
pub(super) const DNS_MESSAGE: HeaderValue = HeaderValue::from_static("application/dns-message");
/// How long a body may take to come, once its head is here.
const BODY_WITHIN: Duration = Duration::from_secs(5);

/// Why a request is answered with a few words in place of a DNS message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Another path than the configured one.
    OtherPath,
    /// Neither GET nor POST.
    OtherMethod,
    /// A body that is no DNS message by its own words.
    OtherType,
    /// GET without `dns`.
    NoParameter,
    /// `dns` is not base64url.
    NotBase64Url,
    /// Less than a header, or a response.
    NotAQuery,
    /// More than [`QUERY_MAX`].
    TooLarge,
    /// The body did not come in time.
    TooSlow,
    /// The body broke off.
    BrokenOff,
    /// A task of ours died.
    OurMistake,
}

/// Where the question stands.
#[derive(Debug, PartialEq, Eq)]
enum Carried {
    /// In the path.
    Whole(Vec<u8>),
    /// In the body, which is still to come.
    InBody,
}

/// The DNS message that a request carries.
pub(super) async fn question(request: Request<Incoming>, path: &str) -> Result<Vec<u8>, Refusal> {
    match carried(request.method(), request.uri(), request.headers(), path) {
        Ok(Carried::Whole(packet)) => Ok(packet),
        Ok(Carried::InBody) => whole(request.into_body()).await,
        Err(refusal) => {
            // Clients take an answer that comes before their body has gone for a broken stream.
            // What becomes of the body changes nothing.
            let _ = whole(request.into_body()).await;
            Err(refusal)
        }
    }
}

/// All of a body.
async fn whole(body: Incoming) -> Result<Vec<u8>, Refusal> {
    match timeout(BODY_WITHIN, Limited::new(body, QUERY_MAX).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes().into()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Refusal::TooLarge),
        Ok(Err(_)) => Err(Refusal::BrokenOff),
        Err(_) => Err(Refusal::TooSlow),
    }
}

/// What the head of a request says of the question.
fn carried(
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    path: &str,
) -> Result<Carried, Refusal> {
    if uri.path() != path {
        return Err(Refusal::OtherPath);
    }
    match *method {
        Method::GET => {
            let mut pairs = uri.query().unwrap_or_default().split('&');
            let text = pairs.find_map(|pair| pair.strip_prefix("dns="));
            decode(text.ok_or(Refusal::NoParameter)?).map(Carried::Whole)
        }
        Method::POST => {
            let said = headers.get(CONTENT_TYPE).and_then(|said| said.to_str().ok());
            // A type may have parameters behind it, which ours has none of (RFC 9110 section 8.3).
            let essence = said.and_then(|said| said.split(';').next()).unwrap_or_default();
            match essence.trim().as_bytes().eq_ignore_ascii_case(DNS_MESSAGE.as_bytes()) {
                true => Ok(Carried::InBody),
                false => Err(Refusal::OtherType),
            }
        }
        _ => Err(Refusal::OtherMethod),
    }
}

/// RFC 8484 section 4.1.1: base64url, and never padded.
fn decode(text: &str) -> Result<Vec<u8>, Refusal> {
    let packet = BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| Refusal::NotBase64Url)?;
    if QUERY_MAX < packet.len() { Err(Refusal::TooLarge) } else { Ok(packet) }
}

// === impl Refusal ===

impl Refusal {
    pub(super) fn status(self) -> HttpStatus {
        match self {
            Refusal::OtherPath => HttpStatus::NotFound,
            Refusal::OtherMethod => HttpStatus::MethodNotAllowed,
            Refusal::OtherType => HttpStatus::UnsupportedMediaType,
            Refusal::NoParameter
            | Refusal::NotBase64Url
            | Refusal::NotAQuery
            | Refusal::BrokenOff => HttpStatus::BadRequest,
            Refusal::TooLarge => HttpStatus::ContentTooLarge,
            Refusal::TooSlow => HttpStatus::RequestTimeout,
            Refusal::OurMistake => HttpStatus::InternalServerError,
        }
    }

    fn text(self) -> &'static str {
        match self {
            Refusal::OtherPath => "nothing is served at this path\n",
            Refusal::OtherMethod => "ask by GET or POST (RFC 8484)\n",
            Refusal::OtherType => "a POST carries application/dns-message\n",
            Refusal::NoParameter => "a GET carries the query in ?dns= (RFC 8484)\n",
            Refusal::NotBase64Url => "dns= is not base64url without padding\n",
            Refusal::NotAQuery => "that is no DNS query\n",
            Refusal::TooLarge => "a query of more than 4096 octets is not looked at\n",
            Refusal::TooSlow => "the body did not come in time\n",
            Refusal::BrokenOff => "the body broke off\n",
            Refusal::OurMistake => "hubdns made a mistake\n",
        }
    }

    pub(super) fn response(self) -> Response<Body> {
        let mut response = Response::new(Body::text(self.text()));
        *response.status_mut() = match self.status() {
            HttpStatus::Ok => StatusCode::OK,
            HttpStatus::BadRequest => StatusCode::BAD_REQUEST,
            HttpStatus::NotFound => StatusCode::NOT_FOUND,
            HttpStatus::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            HttpStatus::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            HttpStatus::ContentTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            HttpStatus::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            HttpStatus::InternalServerError => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self == Refusal::OtherMethod {
            // RFC 9110 section 15.5.6.
            headers.insert(ALLOW, HeaderValue::from_static("GET, POST"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use hyper::{HeaderMap, Method, header::CONTENT_TYPE};

    use super::{BASE64URL_NOPAD, Carried, QUERY_MAX, Refusal, carried};

    fn get(uri: &str) -> Result<Carried, Refusal> {
        carried(&Method::GET, &uri.parse().unwrap(), &HeaderMap::new(), "/dns-query")
    }

    fn post(content_type: &str) -> Result<Carried, Refusal> {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, content_type.parse().unwrap())]);
        carried(&Method::POST, &"/dns-query".parse().unwrap(), &headers, "/dns-query")
    }

    #[test]
    fn a_get_carries_the_query_in_its_path() {
        let packet = b"\xff\xef\x00\x01query".to_vec();
        let text = BASE64URL_NOPAD.encode(&packet);
        assert!(text.contains('_'), "the alphabet of URLs: {text}");
        assert_eq!(get(&format!("/dns-query?dns={text}")), Ok(Carried::Whole(packet.clone())));
        assert_eq!(get(&format!("/dns-query?ct&dns={text}&x=1")), Ok(Carried::Whole(packet)));
    }

    #[test]
    fn what_is_wrong_with_a_get_has_its_own_word() {
        assert_eq!(get("/"), Err(Refusal::OtherPath));
        assert_eq!(get("/dns-query/?dns=AAAA"), Err(Refusal::OtherPath));
        assert_eq!(get("/dns-query"), Err(Refusal::NoParameter));
        assert_eq!(get("/dns-query?sdns=AAAA"), Err(Refusal::NoParameter));
        assert_eq!(get("/dns-query?dns=AA+/"), Err(Refusal::NotBase64Url));
        assert_eq!(get("/dns-query?dns=AAA="), Err(Refusal::NotBase64Url), "padded");
        let largest =
            |len| get(&format!("/dns-query?dns={}", BASE64URL_NOPAD.encode(&vec![0; len])));
        assert_eq!(largest(QUERY_MAX), Ok(Carried::Whole(vec![0; QUERY_MAX])));
        assert_eq!(largest(QUERY_MAX + 1), Err(Refusal::TooLarge));
    }

    #[test]
    fn a_post_says_what_it_carries() {
        assert_eq!(post("application/dns-message"), Ok(Carried::InBody));
        assert_eq!(post("Application/DNS-Message; charset=x"), Ok(Carried::InBody));
        assert_eq!(post("application/dns-json"), Err(Refusal::OtherType));
        let bare =
            carried(&Method::POST, &"/dns-query".parse().unwrap(), &HeaderMap::new(), "/dns-query");
        assert_eq!(bare, Err(Refusal::OtherType));
    }

    #[test]
    fn other_methods_are_told_which_there_are() {
        for method in [Method::HEAD, Method::PUT, Method::OPTIONS] {
            let asked =
                carried(&method, &"/dns-query".parse().unwrap(), &HeaderMap::new(), "/dns-query");
            assert_eq!(asked, Err(Refusal::OtherMethod), "{method}");
        }
        assert_eq!(Refusal::OtherMethod.response().headers()["allow"], "GET, POST");
    }
}
