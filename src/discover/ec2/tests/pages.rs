//! Lists that come page by page, and whole or not at all.

use super::*;

#[tokio::test]
async fn pages_are_joined_also_after_an_empty_one() {
    let api = api(|form| {
        if form.contains("NextToken=t2") {
            return endpoints(&[], Some("t3"));
        }
        if form.contains("NextToken=t3") {
            return endpoints(&[endpoint("2", "kms", "available")], None);
        }
        endpoints(&[endpoint("1", "sqs", "available")], Some("t2"))
    });
    let recorded = fetched(&api).await.unwrap();
    assert_eq!(recorded.endpoints.len(), 2);
    assert_eq!(recorded.services.len(), 2);
    assert_eq!(recorded.interfaces.len(), 2);
    assert_eq!(api.count("Action=DescribeVpcEndpoints&"), 3);
    assert_eq!(api.count("MaxResults=1000"), 5);
}

#[tokio::test]
async fn an_error_on_a_later_page_discards_the_earlier_ones() {
    let api = api(|form| match form.contains("NextToken=t2") {
        true => refusal(400, "InvalidNextToken"),
        false => endpoints(&[endpoint("1", "sqs", "available")], Some("t2")),
    });
    insta::assert_snapshot!(told(source(&api).await).await, @r#"DescribeVpcEndpoints InvalidNextToken: AWS answered DescribeVpcEndpoints with the error InvalidNextToken: service error: unhandled error (InvalidNextToken): Error { code: "InvalidNextToken", message: "said EC2" }"#);
}

#[tokio::test]
async fn a_walk_in_a_circle_is_not_the_end() {
    let api = api(|_| endpoints(&[endpoint("1", "sqs", "available")], Some("same")));
    insta::assert_snapshot!(told(source(&api).await).await, @"DescribeVpcEndpoints garbage: DescribeVpcEndpoints gave an answer that cannot be used: it gave the same NextToken twice");
    assert_eq!(api.count("Action="), 2);
}

#[tokio::test]
async fn tokens_without_end_come_to_an_end() {
    let next = Mutex::new(0);
    let api = api(move |_| {
        let mut next = next.lock().unwrap();
        *next += 1;
        endpoints(&[], Some(&format!("t{next}")))
    });
    insta::assert_snapshot!(told(source(&api).await).await, @"DescribeVpcEndpoints garbage: DescribeVpcEndpoints gave an answer that cannot be used: it has more than 500 pages");
}

#[tokio::test]
async fn a_page_of_somebody_elses_is_not_an_empty_list() {
    let portal = api(|_| Some((200, "<html>Please sign in</html>".to_owned())));
    insta::assert_snapshot!(told(source(&portal).await).await, @"DescribeVpcEndpoints garbage: DescribeVpcEndpoints gave an answer that cannot be used: it is not a whole answer of EC2's: response error: WholeAnswers read_after_deserialization interceptor encountered an error: the answer does not end where EC2's answers end: it was cut short, or is another's");
    let empty = api(|_| Some((200, String::new())));
    insta::assert_snapshot!(told(source(&empty).await).await, @"DescribeVpcEndpoints garbage: DescribeVpcEndpoints gave an answer that cannot be used: it is not a whole answer of EC2's: response error: WholeAnswers read_after_deserialization interceptor encountered an error: the answer does not end where EC2's answers end: it was cut short, or is another's");
    let error = api(|_| Some((500, "<html>Bad gateway</html>".to_owned())));
    insta::assert_snapshot!(told(source(&error).await).await, @"DescribeVpcEndpoints garbage: DescribeVpcEndpoints gave an answer that cannot be used: HTTP 500 without an error code: service error: unhandled error: Error");
}

#[tokio::test]
async fn an_answer_cut_short_anywhere_is_refused() {
    let whole =
        endpoints(&[endpoint("1", "sqs", "available"), endpoint("2", "kms", "available")], None);
    let whole = whole.unwrap().1;
    let whole = whole.trim_end();
    for len in 1..whole.len() {
        let cut = whole[..len].to_owned();
        let api = api(move |_| Some((200, cut.clone())));
        let error = fetched(&api).await.expect_err(&whole[..len]);
        assert!(matches!(error, DiscoverError::Garbage { .. }), "{len}: {error:?}");
    }
}

#[tokio::test]
async fn an_item_without_an_id_is_refused() {
    let items = [endpoint("1", "sqs", "available"), "<state>available</state>".to_owned()];
    let api = api(move |_| endpoints(&items, None));
    insta::assert_snapshot!(told(source(&api).await).await, @"DescribeVpcEndpoints garbage: DescribeVpcEndpoints gave an answer that cannot be used: item 2 of VpcEndpoints lacks VpcEndpointId");
}
