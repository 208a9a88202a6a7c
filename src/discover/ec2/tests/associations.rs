//! Associations of Resource and ServiceNetwork endpoints, without which a look goes on.

use super::*;

const CALL: &str = "Action=DescribeVpcEndpointAssociations";

#[tokio::test]
async fn an_endpoint_that_is_new_does_not_wait_for_the_pauses_of_others() {
    let ids: Arc<Mutex<Vec<&str>>> = Arc::new(Mutex::new(vec!["1"]));
    for code in ["InvalidParameterValue", "UnauthorizedOperation"] {
        let shown = Arc::clone(&ids);
        let api = Api::new(move |form| match form {
            _ if form.contains(CALL) => refusal(400, code),
            _ if form.contains("Action=DescribeVpcEndpoints&") => {
                let kind = |id: &&str| {
                    endpoint(id, "arn:x", "available").replace(">Interface<", ">Resource<")
                };
                endpoints(&shown.lock().unwrap().iter().map(kind).collect::<Vec<_>>(), None)
            }
            _ => details(form),
        });
        let mut ec2 = source(&api).await;
        let mut asks = async |due: bool| {
            let before = api.count(CALL);
            ec2.fetch(due).await.unwrap();
            let [lack] = &ec2.lacks()[..] else { panic!("the associations alone") };
            assert_eq!(lack.asked, before < api.count(CALL));
            lack.asked
        };
        *ids.lock().unwrap() = vec!["1"];
        assert!(asks(true).await);
        let mut looks = [false; 8];
        for asked in &mut looks {
            *asked = asks(false).await;
        }
        let again = if code == "UnauthorizedOperation" { 0 } else { 3 };
        assert_eq!(looks.iter().filter(|asked| **asked).count(), again, "{code}");
        assert!(!looks[7], "{code}");
        *ids.lock().unwrap() = vec!["1", "2"];
        assert!(asks(false).await, "{code}");
        *ids.lock().unwrap() = vec!["2"];
        assert!(again != 0 || !asks(false).await, "{code}");
    }
}
