//! The table of names: what SDKs call, and the endpoint service behind each.
//!
//! `make.py` makes it from botocore, with a template a line: `{r}` stands for a region, `{s}` and
//! `{d}` for the two suffixes of its partition, a first label `*` for all that is below.

use std::{collections::HashMap, sync::LazyLock};

use foldhash::quality::FixedState;

use crate::base::Name;

/// 1,900 templates, 150 kB.
const TABLE: &str = include_str!("names.tsv");

static KNOWN: LazyLock<Known> = LazyLock::new(|| Known::read(TABLE));

/// The table, read once: 200 kB beside its text.
pub struct Known {
    botocore: &'static str,
    hosts: Vec<Host>,
    places: Vec<Place>,
    /// By template, their places in `hosts`.
    by_template: HashMap<&'static str, usize>,
    /// By region, their places in `places`.
    by_region: HashMap<&'static str, usize>,
    /// What names end with; how templates have it, and the place of names without a region.
    suffixes: HashMap<Name, (&'static str, usize), FixedState>,
}

/// One name that SDKs call, the same in every region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Host {
    template: &'static str,
    endpoint: Option<&'static str>,
    /// How well the endpoint service is known.
    pub covering: Covering,
    service: &'static str,
}

/// How well it is known which endpoint service has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Covering {
    /// The service publishes it.
    Sure,
    /// The service publishes another name, or AWS has such a service by all appearance.
    Likely,
    /// The service publishes other names and never this one: an alias gives it.
    ByAlias,
    /// Nothing is known to have it.
    Unknown,
}

/// A region, or all that is in no region of a partition, with the suffixes of its names.
#[derive(Clone, Copy, Debug)]
struct Place {
    name: &'static str,
    is_region: bool,
    /// For `{s}` and `{d}`.
    suffixes: [&'static str; 2],
}

/// What a name of AWS is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Its place in `hosts`; behind the last for one that no SDK calls.
    pub(super) host: usize,
    /// Its place in `places`.
    pub(super) place: usize,
}

// === impl Known ===

impl Known {
    /// The table of this version.
    pub fn table() -> &'static Known {
        &KNOWN
    }

    /// The version of botocore that names were made from.
    pub fn botocore(&self) -> &'static str {
        self.botocore
    }

    /// Every name.
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// Whether SDKs call this very name, or names below a wildcard that it is in.
    pub fn has(&self, name: &Name) -> bool {
        self.find(name).is_some_and(|found| found.host < self.hosts.len())
    }

    /// Whether the names of some partition end so: `amazonaws.com`, and not `api.aws`, which is for
    /// dual-stack ones alone.
    pub fn is_partition(&self, domain: &Name) -> bool {
        let suffix = self.suffixes.get(domain.as_wire());
        suffix.is_some_and(|(stands_for, _)| *stands_for == "{s}")
    }

    pub(super) fn places(&self) -> usize {
        self.places.len()
    }

    /// Lines that are not as they should be are left out; a test looks that there are none.
    fn read(text: &'static str) -> Self {
        let mut known = Self {
            botocore: "",
            hosts: Vec::new(),
            places: Vec::new(),
            by_template: HashMap::new(),
            by_region: HashMap::new(),
            suffixes: HashMap::default(),
        };
        for line in text.lines() {
            let fields: Vec<&str> = line.split('\t').collect();
            match fields[..] {
                ["partition", name, s, d] => {
                    let place = known.places.len();
                    for (suffix, stands_for) in [(s, "{s}"), (d, "{d}")] {
                        known.ends_with(suffix, stands_for, place);
                    }
                    known.places.push(Place { name, is_region: false, suffixes: [s, d] });
                }
                ["region", name, s, d] => {
                    known.by_region.insert(name, known.places.len());
                    known.places.push(Place { name, is_region: true, suffixes: [s, d] });
                }
                ["host", template, endpoint, word, service] => {
                    let Some(covering) = Covering::from_word(word) else { continue };
                    let endpoint = Some(endpoint).filter(|it| *it != "-");
                    // `*.notebook.{r}.sagemaker.aws` is beside the partitions' suffixes.
                    if let Some((_, suffix)) = template.split_once("{r}.")
                        && !suffix.starts_with('{')
                    {
                        known.ends_with(suffix, suffix, 0);
                    }
                    known.by_template.insert(template, known.hosts.len());
                    known.hosts.push(Host { template, endpoint, covering, service });
                }
                _ => {
                    let version = line.strip_prefix("# botocore ").unwrap_or(known.botocore);
                    known.botocore = version.split(';').next().unwrap_or(version);
                }
            }
        }
        known
    }

    fn ends_with(&mut self, suffix: &str, stands_for: &'static str, place: usize) {
        if let Ok(suffix) = suffix.parse() {
            self.suffixes.entry(suffix).or_insert((stands_for, place));
        }
    }

    /// What `name` is, if it is one of AWS's. Most that are forwarded are not, which is told without
    /// an allocation.
    pub(super) fn find(&self, name: &Name) -> Option<Found> {
        let above = name.suffixes().skip(1);
        let known = |suffix: &[u8]| Some((suffix.len(), *self.suffixes.get(suffix)?));
        let (wire_len, (stands_for, place)) = above.filter_map(known).next()?;
        let text = name.to_string();
        let mut place = place;
        // A text has two octets less than its wire form, and a dot before it.
        let labels = text.get(..text.len().checked_sub(wire_len - 1)?)?.split('.').map(|label| {
            match self.by_region.get(label) {
                Some(region) => {
                    place = *region;
                    "{r}"
                }
                None => label,
            }
        });
        let labels: Vec<&str> = labels.chain([stands_for]).collect();
        let exact = self.by_template.get(labels.join(".").as_str());
        let above = || {
            let mut above = (1..labels.len()).filter_map(|at| labels.get(at..));
            above.find_map(|rest| self.by_template.get(format!("*.{}", rest.join(".")).as_str()))
        };
        let host = exact.or_else(above).copied().unwrap_or(self.hosts.len());
        Some(Found { host, place })
    }

    /// The name, or the wildcard over it, as clients ask for it.
    pub(super) fn name(&self, found: Found) -> Option<String> {
        let (host, place) = (self.hosts.get(found.host)?, self.places.get(found.place)?);
        let [s, d] = place.suffixes;
        let name = host.template.replace("{r}", place.name);
        Some(name.replace("{s}", s).replace("{d}", d))
    }

    /// The region, if it is in one.
    pub(super) fn region(&self, found: Found) -> Option<&'static str> {
        self.places.get(found.place).filter(|it| it.is_region).map(|it| it.name)
    }
}

// === impl Host ===

impl Host {
    /// The endpoint service that has it, in this region: `com.amazonaws.eu-west-1.sqs`. None if none
    /// is known, or it is in a region and the name is not.
    pub fn endpoint_service(&self, region: Option<&str>) -> Option<String> {
        let endpoint = self.endpoint?;
        match region {
            Some(region) => Some(endpoint.replace("{r}", region)),
            None if endpoint.contains("{r}") => None,
            None => Some(endpoint.to_owned()),
        }
    }

    /// What operators call the service: what follows the region in the endpoint service's name, or
    /// what SDKs call it where there is no such service.
    pub fn service(&self) -> &'static str {
        let Some(endpoint) = self.endpoint else { return self.service };
        let regional = endpoint.split_once("{r}.").map(|(_, short)| short);
        regional.or_else(|| endpoint.strip_prefix("com.amazonaws.")).unwrap_or(endpoint)
    }

    /// Whether an endpoint service is known to have it, or likely to.
    pub fn has_endpoint_service(&self) -> bool {
        self.endpoint.is_some()
    }
}

// === impl Covering ===

impl Covering {
    const ALL: [Covering; 4] =
        [Covering::Sure, Covering::Likely, Covering::ByAlias, Covering::Unknown];

    /// One word, as in the table and in every listing.
    pub fn word(self) -> &'static str {
        match self {
            Covering::Sure => "sure",
            Covering::Likely => "likely",
            Covering::ByAlias => "alias",
            Covering::Unknown => "none",
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.word() == word)
    }
}

#[cfg(test)]
mod tests {
    use super::{Covering, Found, Known, TABLE};
    use crate::base::Pattern;

    #[track_caller]
    fn check(name: &str, expected: &str) {
        let known = Known::table();
        let told = match known.find(&name.parse().unwrap()) {
            None => "-".to_owned(),
            Some(found) => match known.hosts().get(found.host) {
                None => format!("other {}", known.region(found).unwrap_or("-")),
                Some(host) => {
                    let service = host.endpoint_service(known.region(found));
                    let pattern = known.name(found).unwrap();
                    let service = service.as_deref().unwrap_or("-");
                    format!("{pattern} {} {service} {}", host.service(), host.covering.word())
                }
            },
        };
        assert_eq!(told, expected, "{name}");
    }

    #[test]
    fn names_of_every_form_and_partition_are_known() {
        check(
            "sqs.eu-west-1.amazonaws.com",
            "sqs.eu-west-1.amazonaws.com sqs com.amazonaws.eu-west-1.sqs sure",
        );
        check(
            "api.ecr.us-gov-west-1.amazonaws.com",
            "api.ecr.us-gov-west-1.amazonaws.com ecr.api com.amazonaws.us-gov-west-1.ecr.api sure",
        );
        check(
            "1111.dkr.ecr.cn-north-1.amazonaws.com.cn",
            "*.dkr.ecr.cn-north-1.amazonaws.com.cn ecr.dkr com.amazonaws.cn-north-1.ecr.dkr sure",
        );
        check(
            "sqs.eu-west-1.api.aws",
            "sqs.eu-west-1.api.aws sqs com.amazonaws.eu-west-1.sqs likely",
        );
        check(
            "kms-fips.us-east-1.amazonaws.com",
            "kms-fips.us-east-1.amazonaws.com kms-fips com.amazonaws.us-east-1.kms-fips sure",
        );
        check(
            "b.a.s3.dualstack.eu-west-1.amazonaws.com",
            "*.s3.dualstack.eu-west-1.amazonaws.com s3 com.amazonaws.eu-west-1.s3 likely",
        );
        check(
            "x.studio.eu-west-1.sagemaker.aws",
            "*.studio.eu-west-1.sagemaker.aws studio aws.sagemaker.eu-west-1.studio sure",
        );
        check("iam.amazonaws.com", "iam.amazonaws.com iam com.amazonaws.iam likely");
        check("sts.amazonaws.com", "sts.amazonaws.com sts - alias");
        check(
            "eu-west-1.queue.amazonaws.com",
            "eu-west-1.queue.amazonaws.com sqs com.amazonaws.eu-west-1.sqs likely",
        );
        check(
            "sqs.eusc-de-east-1.amazonaws.eu",
            "sqs.eusc-de-east-1.amazonaws.eu sqs com.amazonaws.eusc-de-east-1.sqs sure",
        );
    }

    #[test]
    fn what_no_sdk_calls_is_told_apart_from_what_is_not_awss() {
        check("db.abc.eu-west-1.rds.amazonaws.com", "other eu-west-1");
        check("sqs.eu-west-99.amazonaws.com", "other -");
        check("www.example.com", "-");
        check("amazonaws.com", "-");
        check("sqs.eu-west-1.amazonaws.com.example.com", "-");
        check("aws", "-");
    }

    #[test]
    fn every_line_of_the_table_is_read_and_no_template_is_there_twice() {
        let known = Known::table();
        assert_eq!(TABLE.lines().count(), 1 + known.places.len() + known.hosts.len());
        assert_eq!(known.by_template.len(), known.hosts.len());
        assert!(known.botocore().starts_with("1."), "{}", known.botocore());
        for host in 0..known.hosts.len() {
            let name = known.name(Found { host, place: known.places.len() - 1 }).unwrap();
            assert!(Pattern::parse(&name).is_ok_and(|_| !name.contains('{')), "{name}");
        }
        let sure = known.hosts.iter().filter(|it| it.covering == Covering::Sure).count();
        assert!(200 < sure, "{sure}");
    }
}
