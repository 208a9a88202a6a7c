//! Where addresses and paths stand in the file, for problems that only a start can find.

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use super::{
    file::{File, Source},
    located::Text,
    problem::{Problem, SourceText},
    words,
};
use crate::{
    serve::{PemFile, Service},
    telemetry::Encrypted,
};

/// A value that only the machine can judge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// An entry of a service's `listen`, from 0.
    Listen(Service, usize),
    /// The path of a certificate or of its key.
    Pem(Encrypted, PemFile),
    /// `admin.listen`.
    Admin,
    /// `server.cookie_secret_file`.
    CookieSecretFile,
    /// `forward.ca_file`.
    CaFile,
    /// `log.queries_file`.
    QueryLog,
    /// `refresh.state_file`.
    StateFile,
}

/// The file's text, and where in it those values stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    source: Arc<SourceText>,
    listen: Vec<Range<usize>>,
    tls: EncryptedPlaces,
    https: EncryptedPlaces,
    admin: Range<usize>,
    cookie_secret_file: Option<Range<usize>>,
    ca_file: Range<usize>,
    query_log: Range<usize>,
    state_file: Range<usize>,
    /// The path of each source in files, by the source's name.
    recordings: BTreeMap<String, Range<usize>>,
}

/// Those of `[server.tls]` or `[server.https]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct EncryptedPlaces {
    listen: Vec<Range<usize>>,
    certificate: Range<usize>,
    key: Range<usize>,
}

// === impl Places ===

impl Places {
    pub(super) fn new(source: Arc<SourceText>, file: &File) -> Self {
        let tls = file.server.tls.as_ref().map(|tls| &tls.value);
        let https = file.server.https.as_ref().map(|https| &https.value);
        let span = |text: &Option<Text>| text.as_ref().map_or(0..0, |text| text.span.clone());
        Self {
            source,
            listen: readable(&file.server.listen.value),
            tls: tls.map_or_else(EncryptedPlaces::default, |tls| EncryptedPlaces {
                listen: tls.listen.as_ref().map_or(vec![], |listen| readable(&listen.value)),
                certificate: span(&tls.certificate),
                key: span(&tls.key),
            }),
            https: https.map_or_else(EncryptedPlaces::default, |https| EncryptedPlaces {
                listen: https.listen.as_ref().map_or(vec![], |listen| readable(&listen.value)),
                certificate: span(&https.certificate),
                key: span(&https.key),
            }),
            admin: file.admin.listen.span.clone(),
            cookie_secret_file: file.server.cookie_secret_file.as_ref().map(|it| it.span.clone()),
            ca_file: file.forward.ca_file.span.clone(),
            query_log: file.log.queries_file.span.clone(),
            state_file: file.refresh.state_file.span.clone(),
            recordings: file.source.iter().filter_map(|it| recording(&it.value)).collect(),
        }
    }

    /// A problem with what stands at `place`: what is wrong, why, and the next step.
    pub fn problem(&self, place: Place, what: &str, why: &str, help: &str) -> Problem {
        let (key, span) = self.find(place);
        Problem::found_later(Arc::clone(&self.source), &key, span, [what, why, help])
    }

    /// The same for what works and is hardly meant.
    pub fn warning(&self, place: Place, what: &str, why: &str, help: &str) -> Problem {
        let (key, span) = self.find(place);
        Problem::doubted_later(Arc::clone(&self.source), &key, span, [what, why, help])
    }

    /// A problem with the recording of the source of this name.
    pub fn recording_problem(&self, source: &str, what: &str, why: &str, help: &str) -> Problem {
        let span = self.recordings.get(source).cloned().unwrap_or(0..0);
        Problem::found_later(Arc::clone(&self.source), "source.path", span, [what, why, help])
    }

    /// The key at a place, and where it stands in the file.
    fn find(&self, place: Place) -> (String, Range<usize>) {
        let of = |service| match service {
            Encrypted::Tls => &self.tls,
            Encrypted::Https => &self.https,
        };
        let (table, key, span) = match place {
            Place::Listen(service @ Service::Plain, index) => {
                (service.table(), "listen", self.listen.get(index))
            }
            Place::Listen(service @ Service::Encrypted(it), index) => {
                (service.table(), "listen", of(it).listen.get(index))
            }
            Place::Pem(service, PemFile::Certificate) => {
                let table = Service::Encrypted(service).table();
                (table, "certificate", Some(&of(service).certificate))
            }
            Place::Pem(service, PemFile::Key) => {
                (Service::Encrypted(service).table(), "key", Some(&of(service).key))
            }
            Place::Admin => ("admin", "listen", Some(&self.admin)),
            Place::CookieSecretFile => {
                ("server", "cookie_secret_file", self.cookie_secret_file.as_ref())
            }
            Place::CaFile => ("forward", "ca_file", Some(&self.ca_file)),
            Place::QueryLog => ("log", "queries_file", Some(&self.query_log)),
            Place::StateFile => ("refresh", "state_file", Some(&self.state_file)),
        };
        (format!("{table}.{key}"), span.cloned().unwrap_or(0..0))
    }
}

/// A source's name, and where its path stands.
fn recording(source: &Source) -> Option<(String, Range<usize>)> {
    Some((source.name.as_ref()?.value.clone(), source.path.as_ref()?.span.clone()))
}

/// Where the entries that can be read stand, as in the configuration itself.
fn readable(entries: &[Text]) -> Vec<Range<usize>> {
    let readable = entries.iter().filter(|entry| words::listen(&entry.value).is_ok());
    readable.map(|entry| entry.span.clone()).collect()
}
