//! The EC2 double of `tests/aws/double.py`, and the orders that tests give it.

use std::{
    env,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    http::{http_get, http_post},
    process::{Process, eventually},
};

/// Importing moto takes one second on a quiet machine.
const START_LIMIT: Duration = Duration::from_secs(30);

/// A running EC2 double. It ends with this value.
pub struct Ec2Double {
    address: SocketAddr,
    process: Process,
    _dir: TempDir,
}

/// What a hub was made of.
#[derive(Clone, Debug)]
pub struct Hub {
    /// The VPC's id.
    pub vpc: String,
    /// The endpoints, in the order they were asked for.
    pub endpoints: Vec<Endpoint>,
}

/// One endpoint of the double.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// `vpce-...`
    pub id: String,
    /// The whole service name.
    pub service: String,
    /// As the API prints it.
    pub state: String,
    /// Regional, zonal, then private names.
    pub dns_entries: Vec<String>,
    /// One a zone.
    pub enis: Vec<Eni>,
}

/// One network interface of the double.
#[derive(Clone, Debug)]
pub struct Eni {
    /// `eni-...`
    pub id: String,
    /// The zone's name.
    pub az: String,
    /// Empty on an IPv6-only endpoint.
    pub ipv4: String,
    /// The first IPv6 address, or empty.
    pub ipv6: String,
}

/// The Python environment that `tests/setup.sh` makes.
pub fn venv() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().map(|dir| dir.join("venv"));
    let venv = env::var_os("HUBDNS_TEST_VENV").map(PathBuf::from).or(target);
    let venv = venv.expect("a target folder has a parent");
    assert!(
        venv.join(".stamp").exists(),
        "no Python environment in {}: run tests/setup.sh",
        venv.display()
    );
    venv
}

// === impl Ec2Double ===

impl Ec2Double {
    /// Starts a double with nothing in it.
    pub fn start() -> Self {
        Self::start_at((Ipv4Addr::LOCALHOST, 0).into())
    }

    /// Starts one at an address that clients have been told before.
    pub fn start_at(address: SocketAddr) -> Self {
        let dir = TempDir::new().expect("a temporary folder");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/aws/double.py");
        let mut process = Process::spawn(
            "double",
            // -B: no __pycache__ in the tree.
            Command::new(venv().join("bin/python"))
                .arg("-B")
                .arg(script)
                .args(["--listen", &address.to_string()]),
            dir.path(),
        );
        let address = eventually("the EC2 double listens", START_LIMIT, || {
            assert!(process.ended().is_none(), "double.py: {}", process.stderr());
            let text = process.stdout();
            let line = text.lines().find_map(|line| line.strip_prefix("listening on http://"));
            // A line without its end may still lack a digit of the port.
            line.filter(|_| text.ends_with('\n'))?.parse().ok()
        });
        Self { address, process, _dir: dir }
    }

    /// For `endpoint_url` and `AWS_ENDPOINT_URL`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Makes a VPC in account 123456789012, eu-west-1, with these endpoints. `double.py` says
    /// what an endpoint may have: `[{"service": "sqs", "azs": {"a": "10.0.1.10"}}]`.
    #[track_caller]
    pub fn create_hub(&self, endpoints: Value) -> Hub {
        self.create(json!({ "endpoints": endpoints }))
    }

    /// The whole order: `endpoints` and optionally `account`, `region`, `vpc`.
    #[track_caller]
    pub fn create(&self, order: Value) -> Hub {
        let made = self.order("/_hub", &order);
        Hub {
            vpc: text(&made["vpc"]),
            endpoints: list(&made["endpoints"]).iter().map(Endpoint::read).collect(),
        }
    }

    /// Adds a service, or another truth about one of that name: `name` with `{region}` in it,
    /// `private_dns_names`, `base_dns_name`, `verification`.
    #[track_caller]
    pub fn put_service(&self, service: Value) {
        self.order("/_service", &service);
    }

    /// Puts new ENIs with these addresses in the old ones' place: `{"a": "10.0.1.20"}`.
    #[track_caller]
    pub fn replace_addresses(&self, endpoint: &str, azs: Value) -> Endpoint {
        let order = json!({ "endpoint": endpoint, "azs": azs });
        Endpoint::read(&self.order("/_addresses", &order))
    }

    /// Sets the state that the API prints.
    #[track_caller]
    pub fn set_state(&self, endpoint: &str, state: &str) {
        self.order("/_state", &json!({ "endpoint": endpoint, "state": state }));
    }

    /// Takes an endpoint out of every answer.
    #[track_caller]
    pub fn remove(&self, endpoint: &str) {
        self.order("/_remove", &json!({ "endpoint": endpoint }));
    }

    /// Associates with a VPC a rule of Route 53 Resolver that sends a domain there; its id.
    #[track_caller]
    pub fn send_on(&self, vpc: &str, domain: &str, targets: &[&str]) -> String {
        let order = json!({ "vpc": vpc, "domain": domain, "targets": targets });
        text(&self.order("/_rule", &order)["id"])
    }

    /// How many items one answer carries at most.
    #[track_caller]
    pub fn page_size(&self, items: usize) {
        self.order("/_page", &json!({ "size": items }));
    }

    /// Orders a fault: `{"action": "DescribeVpcEndpoints", "kind": "cut", "times": 1}`. Kinds
    /// are error, delay, html, cut, cut_list, item_without_id, repeated_token, close; 0 times is
    /// for ever.
    #[track_caller]
    pub fn fault(&self, fault: Value) {
        self.order("/_fault", &fault);
    }

    /// Forgets faults, page size and log.
    #[track_caller]
    pub fn clear(&self) {
        self.order("/_clear", &json!({}));
    }

    /// Every AWS request since the last clear: action, host, to, from, user_agent,
    /// authorization, form.
    #[track_caller]
    pub fn log(&self) -> Vec<Value> {
        let (status, body) = http_get(self.address, "/_log").expect("the double answers");
        assert_eq!(status, 200, "{body}");
        list(&serde_json::from_str(&body).expect("a log in JSON")).to_vec()
    }

    /// How often an action was called since the last clear.
    #[track_caller]
    pub fn calls(&self, action: &str) -> usize {
        let log = self.log();
        log.iter().filter(|entry| entry["action"] == action).count()
    }

    /// Ends it, so that its address refuses connections from now on.
    pub fn stop(&mut self) {
        self.process.kill();
    }

    #[track_caller]
    fn order(&self, path: &str, order: &Value) -> Value {
        let (status, body) =
            http_post(self.address, path, &order.to_string()).expect("the double answers");
        assert_eq!(status, 200, "{path} {order}: {body}");
        serde_json::from_str(&body).expect("the double answers in JSON")
    }
}

// === impl Endpoint ===

impl Endpoint {
    fn read(facts: &Value) -> Self {
        Self {
            id: text(&facts["id"]),
            service: text(&facts["service"]),
            state: text(&facts["state"]),
            dns_entries: list(&facts["dns_entries"]).iter().map(text).collect(),
            enis: list(&facts["enis"]).iter().map(Eni::read).collect(),
        }
    }
}

// === impl Eni ===

impl Eni {
    fn read(facts: &Value) -> Self {
        Self {
            id: text(&facts["id"]),
            az: text(&facts["az"]),
            ipv4: text(&facts["ipv4"]),
            ipv6: text(&facts["ipv6"][0]),
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
