//! How EC2 is reached and as whom: silence, look-ups, credentials, roles, sessions.

use super::*;

#[tokio::test]
async fn a_silent_endpoint_is_given_up() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let loader = quick(http::client(&no_lookup()));
    let ec2 = source_with(config(&[], None, Some(&url)), loader).await;
    insta::assert_snapshot!(told(ec2).await, @"DescribeVpcEndpoints timeout: AWS did not answer DescribeVpcEndpoints within 150ms: request has timed out: operation attempt timeout (single attempt) occurred after 150ms");
}

#[tokio::test]
async fn an_endpoint_that_is_not_there_is_unreachable() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let loader = quick(http::client(&no_lookup()));
    let url = format!("http://127.0.0.1:{port}");
    let nobody = told(source_with(config(&[], None, Some(&url)), loader).await).await;
    assert!(
        nobody.starts_with(
            "DescribeVpcEndpoints connect: cannot reach AWS for DescribeVpcEndpoints: "
        ),
        "{nobody}"
    );
    assert!(nobody.contains("Connection refused"), "{nobody}");
}

#[tokio::test]
async fn hosts_are_found_by_our_own_lookup() {
    let loader = quick(http::client(&no_lookup()));
    let line = told(source_with(config(&[], None, None), loader).await).await;
    assert!(line.starts_with("DescribeVpcEndpoints connect: "), "{line}");
    assert!(line.contains("no server knows ec2.eu-west-1.amazonaws.com"), "{line}");
}

#[tokio::test]
async fn a_lookup_that_hangs_is_given_up_as_a_connection_is() {
    let lookup: HostLookup = Arc::new(|_| std::future::pending().boxed());
    let limits =
        Limits { connect: Duration::from_millis(50), attempt: Duration::from_secs(5), ..SHORT };
    let loader = loader(http::client(&lookup), &limits, RetryConfig::disabled())
        .empty_test_environment()
        .credentials_provider(Credentials::new("id", "secret", None, None, "test"));
    let config = config(&[], None, None);
    let mut ec2 = Ec2::new(config, lookup, &CallPace::new());
    let session = Session::from_loader(&ec2.config, loader, limits, &ec2.pace).await;
    ec2.session = Some(session.unwrap());
    let line = told(ec2).await;
    assert!(
        line.starts_with(
            "DescribeVpcEndpoints timeout: AWS did not answer DescribeVpcEndpoints within 50ms: "
        ),
        "{line}"
    );
}

#[tokio::test]
async fn without_credentials_that_is_what_is_said() {
    let api = Api::new(|_| None);
    let loader = bare(SharedHttpClient::new(api), RetryConfig::disabled());
    let line = told(source_with(config(&[], None, None), loader).await).await;
    assert!(line.starts_with("setup credentials: no AWS credentials could be loaded: "), "{line}");
}

#[tokio::test]
async fn without_a_region_that_is_what_is_said() {
    let api = Api::new(|_| None);
    let mut config = config(&[], None, None);
    config.kind = SourceKind::Ec2 { region: None, role: None, endpoint_url: None };
    let loader = quick(SharedHttpClient::new(api));
    let pace = CallPace::new().of(&config.name);
    let opened = Session::from_loader(&config, loader, SHORT, &pace).await;
    assert!(matches!(opened, Err(DiscoverError::NoRegion)));
}

#[tokio::test]
async fn a_role_that_may_not_be_assumed_is_named() {
    let role = "arn:aws:iam::444455556666:role/hubdns-read";
    let denied = |code: &'static str| {
        let api = Api::new(move |_| {
            Some((
                403,
                format!(
                    "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code>\
                     <Message>said STS</Message></Error><RequestId>1</RequestId></ErrorResponse>"
                ),
            ))
        });
        source_with(config(&[], Some(role), None), quick(SharedHttpClient::new(api)))
    };
    insta::assert_snapshot!(told(denied("AccessDenied").await).await, @r#"AssumeRole AccessDenied: AWS refused AssumeRole: the caller lacks the permission sts:AssumeRole on arn:aws:iam::444455556666:role/hubdns-read, or that role does not trust it: dispatch failure: other: an error occurred while loading credentials: service error: unhandled error (AccessDenied): Error { code: "AccessDenied", message: "said STS" }"#);
    insta::assert_snapshot!(told(denied("ExpiredTokenException").await).await, @"AssumeRole ExpiredTokenException: the AWS credentials have expired, or this host's clock is wrong: AssumeRole failed: dispatch failure: other: an error occurred while loading credentials: service error: ExpiredTokenException: said STS");
}

#[tokio::test]
async fn a_role_is_assumed_and_ec2_is_asked_as_it() {
    let api = Api::new(|form| match form.contains("Action=AssumeRole") {
        true => Some((
            200,
            "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIA</AccessKeyId>\
             <SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>\
             <Expiration>2999-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult>\
             </AssumeRoleResponse>"
                .to_owned(),
        )),
        false => endpoints(&[], None),
    });
    let role = "arn:aws:iam::444455556666:role/hubdns-read";
    let http = SharedHttpClient::new(api.clone());
    let mut ec2 = source_with(config(&[], Some(role), None), quick(http)).await;
    ec2.fetch(false).await.unwrap();
    ec2.fetch(false).await.unwrap();
    assert_eq!(api.count("Action=AssumeRole"), 1);
    assert_eq!(api.count("Action=DescribeVpcEndpoints&"), 2);
}

#[tokio::test]
async fn a_session_has_the_external_id_the_tags_and_the_name_that_are_configured() {
    let asked = async |role: Role| {
        let api = Api::new(|_| None);
        let mut config = config(&[], None, None);
        config.kind = SourceKind::Ec2 {
            region: Some("us-gov-west-1".into()),
            role: Some(role),
            endpoint_url: None,
        };
        let http = SharedHttpClient::new(api.clone());
        let line = told(source_with(config, quick(http)).await).await;
        assert!(line.starts_with("AssumeRole connect: "), "{line}");
        let form = api.asked.lock().unwrap().first().cloned().unwrap();
        let pairs = form.split('&').filter(|pair| !pair.starts_with("Version="));
        pairs.map(str::to_owned).collect::<Vec<String>>()
    };
    let plain = Role { name: RoleName::In("111122223333".into(), "r".to_owned()), ..role("") };
    let arn = "RoleArn=arn%3Aaws-us-gov%3Aiam%3A%3A111122223333%3Arole%2Fr";
    let first = ["Action=AssumeRole", arn, "RoleSessionName=hubdns"];
    assert_eq!(asked(plain.clone()).await, first);
    let whole = Role {
        external_id: Some("hub:4711".to_owned()),
        session_name: "hub-a".to_owned(),
        session_tags: [("team".to_owned(), "network".to_owned())].into(),
        ..plain
    };
    let expected = [
        "Action=AssumeRole",
        arn,
        "RoleSessionName=hub-a",
        "Tags.member.1.Key=team",
        "Tags.member.1.Value=network",
        "ExternalId=hub%3A4711",
    ];
    assert_eq!(asked(whole).await, expected);
}

#[tokio::test]
async fn a_failed_look_opens_a_new_session_and_a_throttled_one_does_not() {
    let status = Arc::new(Mutex::new("RequestLimitExceeded"));
    let shown = status.clone();
    let api = api(move |_| refusal(400, *shown.lock().unwrap()));
    let mut ec2 = source(&api).await;
    ec2.fetch(false).await.unwrap_err();
    assert!(ec2.session.is_some());
    *status.lock().unwrap() = "AuthFailure";
    ec2.fetch(false).await.unwrap_err();
    assert!(ec2.session.is_none());
}
