//! Whether views that leave S3 to their upstreams get public addresses from there.
//!
//! The clients of such a view have gateway endpoints, whose routes are for S3's public addresses. An
//! upstream that knows an interface endpoint with private DNS, as the resolver of the hub's own VPC
//! may, gives its private ones: everything works, is paid for, and goes past the gateway endpoint.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

use futures_util::stream::{self, StreamExt};
use tokio::{sync::watch, time::sleep};
use tokio_util::sync::CancellationToken;

use super::daemon::Daemon;
use crate::{
    answer::Settings,
    base::{Name, Pattern, ServiceName, ViewName, is_private},
    forward::{ForwardConfig, HostLookup, LookupConfig, LookupFrom, Trust, UpstreamAddress},
    policy::{Declined, Reason, ServiceRule},
    refresh::Publications,
    table::{AnswerTable, Reader},
    telemetry::Metrics,
};

/// Between two looks while nothing changes here: private DNS may be switched on at the upstream's. A
/// packet or two for each list of upstreams.
const EVERY: Duration = Duration::from_secs(600);
/// Lists asked at once: of hundreds of views each may have its own, and one that is silent takes seconds.
const AT_ONCE_MAX: usize = 8;
/// After a change, so that several in a row are one look.
const SETTLED_AFTER: Duration = Duration::from_secs(1);

/// What a view's upstreams give for S3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftToUpstream {
    /// The view.
    pub view: ViewName,
    /// The name that was asked.
    pub name: Name,
    /// What came of it.
    pub given: Given,
}

/// What is given for a name that is left to upstreams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Given {
    /// Public addresses alone.
    Public,
    /// This one, which no gateway endpoint's route is for.
    Private(IpAddr),
    /// No address, for this reason.
    Nothing(String),
}

/// What the task looks at.
struct Gateways {
    settings: watch::Receiver<Arc<Settings>>,
    publications: watch::Receiver<Publications>,
    table: Reader,
    metrics: Arc<Metrics>,
}

/// What is to be asked for views that leave S3 to upstreams.
struct Questions {
    /// Addresses of S3's endpoints.
    own: BTreeSet<IpAddr>,
    asked: Vec<(ViewName, Question)>,
}

/// Whom to ask, and for what.
type Question = (Vec<UpstreamAddress>, Name);

/// Asks the upstreams of each view that leaves S3 to them, each list of them once.
pub async fn look_at_gateways(table: &AnswerTable, forward: &ForwardConfig) -> Vec<LeftToUpstream> {
    // Why nobody is believed `try_places` tells.
    let trust = Trust::read(forward.all_upstreams(), forward.ca_file.as_deref());
    Questions::of(table, forward).ask(&trust.unwrap_or_default()).await
}

/// The name of S3 itself in a region, where it is left to upstreams: by a deny list, or because its
/// endpoint is for clients on premises alone.
fn left_to_upstream(declined: &Declined) -> Option<Name> {
    let is_left = declined.why.is_denied() || declined.why == Reason::OnpremOnly;
    if !is_left || !is_s3(declined.service.as_ref()?) {
        return None;
    }
    match Pattern::parse(declined.name.as_deref()?).ok()? {
        Pattern::Exact(name) if name.labels().next() == Some(b"s3".as_slice()) => Some(name),
        Pattern::Exact(_) | Pattern::Below(_) => None,
    }
}

fn is_s3(service: &ServiceName) -> bool {
    ServiceRule::new("s3").means(service)
}

/// The addresses of every endpoint of S3 that any view answers with.
fn addresses_of_s3(table: &AnswerTable) -> BTreeSet<IpAddr> {
    let claims = table.views().flat_map(|view| view.entries()).map(|entry| entry.claim());
    let of_s3 = claims.filter(|claim| is_s3(&claim.service));
    of_s3.flat_map(|claim| claim.addresses.iter().map(|address| address.ip)).collect()
}

async fn given(
    upstreams: &[UpstreamAddress],
    name: &Name,
    trust: &Trust,
    own: &BTreeSet<IpAddr>,
) -> Given {
    let config = LookupConfig {
        from: LookupFrom::Forward,
        upstreams: upstreams.to_vec(),
        zones: Vec::new(),
    };
    let found = match HostLookup::new(&config, trust) {
        Ok(lookup) => lookup.lookup(&name.to_string()).await,
        Err(error) => Err(error),
    };
    match found {
        Ok(found) if found.is_empty() => Given::Nothing("it has no address".to_owned()),
        Ok(found) => {
            let private = found.into_iter().find(|ip| own.contains(ip) || is_private(*ip));
            private.map_or(Given::Public, Given::Private)
        }
        Err(error) => Given::Nothing(error.to_string()),
    }
}

// === impl Questions ===

impl Questions {
    fn of(table: &AnswerTable, forward: &ForwardConfig) -> Self {
        let mut asked = Vec::new();
        for view in table.views() {
            let left = view.declined().iter().filter_map(left_to_upstream);
            // An alias may answer the name all the same.
            let names: BTreeSet<Name> =
                left.filter(|it| view.find(it.as_wire()).is_none()).collect();
            for name in names {
                let upstreams = forward.way(view.name(), &name).upstreams.to_vec();
                asked.push((view.name().clone(), (upstreams, name)));
            }
        }
        Self { own: addresses_of_s3(table), asked }
    }

    async fn ask(self, trust: &Trust) -> Vec<LeftToUpstream> {
        let Self { own, asked } = self;
        let distinct: BTreeSet<Question> =
            asked.iter().map(|(_, question)| question.clone()).collect();
        let answers = distinct.into_iter().map(|question| async {
            let given = given(&question.0, &question.1, trust, &own).await;
            (question, given)
        });
        let answers: BTreeMap<Question, Given> =
            stream::iter(answers).buffer_unordered(AT_ONCE_MAX).collect().await;
        let told = |(view, question): (ViewName, Question)| {
            let given = answers.get(&question)?.clone();
            Some(LeftToUpstream { view, name: question.1, given })
        };
        asked.into_iter().filter_map(told).collect()
    }
}

// === impl Given ===

/// For people: what follows the name.
impl fmt::Display for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Given::Public => f.write_str("is public there"),
            Given::Private(ip) => write!(f, "is {ip} there, which is private"),
            Given::Nothing(why) => write!(f, "is not found there: {why}"),
        }
    }
}

// === impl LeftToUpstream ===

impl LeftToUpstream {
    /// What to do about it, if something is to be done.
    pub fn next(&self) -> Option<&'static str> {
        match self.given {
            Given::Public => None,
            Given::Private(_) => Some(
                "name an upstream outside of the VPC that has the S3 endpoint with private DNS \
                 ([view.forward] upstreams), or switch that endpoint's private DNS off",
            ),
            Given::Nothing(_) => Some("ask the upstream for it yourself, with dig"),
        }
    }
}

// === impl Daemon ===

impl Daemon {
    /// Starts the look at what S3 is to those who leave it to upstreams.
    pub(super) fn start_gateways(&mut self) {
        let gateways = Gateways {
            settings: self.settings.subscribe(),
            publications: self.publications.clone(),
            table: self.table.clone(),
            metrics: Arc::clone(&self.metrics),
        };
        let token = self.token.clone();
        self.start_among_queries("the look at S3's names", gateways.run(token));
    }
}

// === impl Gateways ===

impl Gateways {
    /// Looks at the start, after each change of upstreams or answers, and now and then.
    async fn run(self, token: CancellationToken) {
        let Gateways { mut settings, mut publications, table, metrics } = self;
        let looks = async {
            let mut told: Vec<LeftToUpstream> = Vec::new();
            loop {
                let forwarder = settings.borrow_and_update().forwarder.clone();
                publications.borrow_and_update();
                // Lists that are silent take seconds: the table is not held meanwhile.
                let questions = {
                    let published = table.hold();
                    published
                        .in_force()
                        .then(|| Questions::of(published.table(), forwarder.config()))
                };
                let found = match questions {
                    Some(questions) => questions.ask(forwarder.trust()).await,
                    None => Vec::new(),
                };
                tell(&found, &told, &metrics);
                told = found;
                tokio::select! {
                    changed = settings.changed() => if changed.is_err() { return },
                    changed = publications.changed() => if changed.is_err() { return },
                    () = sleep(EVERY) => (),
                }
                sleep(SETTLED_AFTER).await;
            }
        };
        tokio::select! {
            () = token.cancelled() => (),
            () = looks => token.cancelled().await,
        }
    }
}

/// Logs what is new, and sets the gauge.
fn tell(found: &[LeftToUpstream], told: &[LeftToUpstream], metrics: &Metrics) {
    let is_private = |it: &&LeftToUpstream| matches!(it.given, Given::Private(_));
    let views: BTreeSet<_> = found.iter().filter(is_private).map(|it| &it.view).collect();
    metrics.control.s3_left_private.set(i64::try_from(views.len()).unwrap_or(i64::MAX));
    for it in found.iter().filter(|it| !told.contains(it)) {
        let LeftToUpstream { view, name, given } = it;
        match it.next() {
            None => tracing::info!(%view, %name, "S3 is left to upstreams"),
            Some(next) => tracing::warn!(
                %view, %name, why = %given, next,
                "S3 is left to upstreams that do not give its public addresses"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::left_to_upstream;
    use crate::policy::{Declined, Reason};

    #[test]
    fn s3_is_left_to_upstreams_by_a_deny_list_and_by_an_endpoint_for_clients_on_premises() {
        let left = |service: &str, name: &str, why: Reason| {
            let declined = Declined {
                endpoint: Some("vpce-1".into()),
                service: Some(service.into()),
                source: None,
                name: Some(Arc::from(name)),
                why,
            };
            left_to_upstream(&declined).map(|name| name.to_string())
        };
        let s3 = "com.amazonaws.eu-west-1.s3";
        let name = "s3.eu-west-1.amazonaws.com";
        let denied = || Reason::Denied(Arc::from("s3"));
        assert_eq!(left(s3, name, denied()).as_deref(), Some(name));
        let by_view = Reason::DeniedByView(Arc::from("s3"));
        assert_eq!(left(s3, name, by_view).as_deref(), Some(name));
        assert_eq!(left(s3, name, Reason::OnpremOnly).as_deref(), Some(name));
        assert_eq!(left(s3, name, Reason::NoAddress), None);
        assert_eq!(left(s3, &format!("*.{name}"), denied()), None);
        assert_eq!(
            left("com.amazonaws.eu-west-1.sqs", "sqs.eu-west-1.amazonaws.com", denied()),
            None
        );
    }
}
