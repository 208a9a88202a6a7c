//! Services of other regions, without which a look goes on.

use std::sync::{Arc, Mutex};

use super::*;

const CALL: &str = "Action=DescribeVpcEndpointServices";
const VIRGINIA: &str = "ServiceRegion.1=us-east-1";

/// An endpoint of a service here, and two of services elsewhere.
fn hub() -> Option<(u16, String)> {
    let elsewhere = |id: &str, service: &str, region: &str| {
        format!("{}<serviceRegion>{region}</serviceRegion>", endpoint(id, service, "available"))
    };
    let items = [
        endpoint("1", "here.sqs", "available"),
        elsewhere("2", "us-east-1.sqs", "us-east-1"),
        elsewhere("3", "ap-south-1.kms", "ap-south-1"),
    ];
    endpoints(&items, None)
}

/// What the API says of services in us-east-1, while there is anything.
type Virginia = Arc<Mutex<Option<Option<(u16, String)>>>>;

fn api_with(virginia: &Virginia) -> Api {
    let virginia = Arc::clone(virginia);
    Api::new(move |form| {
        let spoilt = virginia.lock().unwrap().clone();
        match spoilt {
            Some(answer) if form.contains(VIRGINIA) => answer,
            _ if form.contains("Action=DescribeVpcEndpoints&") => hub(),
            _ => details(form),
        }
    })
}

/// The services that a look tells of, and what it goes without.
async fn looked(ec2: &mut Ec2, ask_services: bool) -> (Vec<String>, Vec<String>) {
    let (_, recorded) = ec2.fetch(ask_services).await.unwrap();
    assert_eq!((recorded.endpoints.len(), recorded.interfaces.len()), (3, 3));
    let mut services: Vec<String> =
        recorded.services.into_iter().map(|service| service.service_name).collect();
    services.sort();
    let lacks = ec2.lacks();
    for lack in &lacks {
        assert!(ACTIONS.contains(&lack.error.action()) && CODES.contains(&lack.error.code()));
    }
    (services, lacks.iter().map(ToString::to_string).collect())
}

#[tokio::test]
async fn a_region_that_is_denied_costs_the_names_of_its_services_alone() {
    let virginia: Virginia = Arc::new(Mutex::new(Some(refusal(403, "UnauthorizedOperation"))));
    let api = api_with(&virginia);
    let mut ec2 = source(&api).await;
    let (services, lacks) = looked(&mut ec2, true).await;
    assert_eq!(services, ["ap-south-1.kms", "here.sqs"]);
    insta::assert_snapshot!(lacks.join("\n"), @r#"names of services in us-east-1 (does an SCP, or a condition of the role's policy, deny us-east-1?): AWS refused DescribeVpcEndpointServices: the caller lacks the permission ec2:DescribeVpcEndpointServices: service error: unhandled error (UnauthorizedOperation): Error { code: "UnauthorizedOperation", message: "said EC2" }"#);
    // It is told all the while, and asked again when all is due, or a person wants it.
    let all = || (api.count(CALL), api.count(VIRGINIA));
    assert_eq!(all(), (3, 1));
    for _ in 0..20 {
        assert_eq!(looked(&mut ec2, false).await.1, lacks);
    }
    assert_eq!(all(), (3, 1));
    let whole = ["ap-south-1.kms", "here.sqs", "us-east-1.sqs"];
    *virginia.lock().unwrap() = None;
    let (services, lacks) = looked(&mut ec2, true).await;
    assert_eq!(
        (services.as_slice(), lacks.len(), all()),
        (&whole.map(str::to_owned)[..], 0, (6, 2))
    );
    looked(&mut ec2, false).await;
    assert_eq!(all(), (6, 2));
    *virginia.lock().unwrap() = Some(refusal(403, "UnauthorizedOperation"));
    let (services, lacks) = looked(&mut ec2, true).await;
    assert_eq!((services.as_slice(), lacks.len()), (&whole.map(str::to_owned)[..], 1));
}

#[tokio::test]
async fn nor_does_one_that_cannot_be_reached_hangs_or_tells_nonsense() {
    let nameless = body("DescribeVpcEndpointServices", "serviceDetailSet", &[String::new()], None);
    for (answer, code) in [
        (None, "connect"),
        (Some((0, String::new())), "timeout"),
        (refusal(400, "InvalidParameterValue"), "InvalidParameterValue"),
        (refusal(503, "RequestLimitExceeded"), "RequestLimitExceeded"),
        (Some((200, "<html>Please sign in</html>".to_owned())), "garbage"),
        (nameless, "garbage"),
    ] {
        let mut ec2 = source(&api_with(&Arc::new(Mutex::new(Some(answer))))).await;
        let (_, recorded) = ec2.fetch(true).await.unwrap();
        assert_eq!((recorded.services.len(), recorded.interfaces.len()), (2, 3), "{code}");
        let codes: Vec<&str> = ec2.lacks().iter().map(|lack| lack.error.code()).collect();
        assert_eq!(codes, [code]);
    }
}

#[tokio::test]
async fn one_that_failed_is_asked_alone_by_the_next_look_and_then_more_and_more_rarely() {
    let virginia: Virginia = Arc::new(Mutex::new(Some(refusal(400, "InvalidParameterValue"))));
    let api = api_with(&virginia);
    let mut ec2 = source(&api).await;
    looked(&mut ec2, true).await;
    let mut asked = Vec::new();
    for _ in 0..8 {
        looked(&mut ec2, false).await;
        asked.push(api.count(VIRGINIA));
    }
    assert_eq!(asked, [2, 2, 3, 3, 3, 3, 4, 4]);
    assert_eq!(api.count(CALL), 2 + 4);
}
