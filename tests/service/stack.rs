//! What can be said of the stack in `config/aws/` without AWS, in a second. The rest is `tests/service/stack.sh`.

use std::{fs, process::Command};

use serde_json::Value;

use crate::{machine::project, support::venv};

/// The template, with what CloudFormation calculates as `{"Ref": ..}` and the like.
fn template() -> Value {
    let read = "import json, sys, yaml\n\
        class Loader(yaml.SafeLoader): pass\n\
        def made(loader, tag, node):\n\
        \x20   kind = {'scalar': loader.construct_scalar, 'sequence': loader.construct_sequence}\n\
        \x20   make = kind.get(node.id, loader.construct_mapping)\n\
        \x20   value = make(node) if node.id == 'scalar' else make(node, deep=True)\n\
        \x20   return {tag: value}\n\
        Loader.add_multi_constructor('!', made)\n\
        print(json.dumps(yaml.load(open(sys.argv[1]), Loader)))\n";
    let file = project().join("config/aws/hub.yaml");
    let run =
        Command::new(venv().join("bin/python")).args(["-c", read]).arg(file).output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    serde_json::from_slice(&run.stdout).unwrap()
}

#[test]
fn the_stacks_role_may_ask_what_the_policy_says() {
    let policy = fs::read_to_string(project().join("config/aws/iam-policy.json")).unwrap();
    let policy: Value = serde_json::from_str(&policy).unwrap();
    let template = template();
    let role = &template["Resources"]["Role"]["Properties"]["Policies"][0]["PolicyDocument"];
    let module = fs::read_to_string(project().join("config/aws/terraform/main.tf")).unwrap();
    for sid in ["ReadEndpoints", "ReadZonesOfClients"] {
        let of = |document: &Value| {
            let statements = document["Statement"].as_array().unwrap().clone();
            statements.into_iter().find(|statement| statement["Sid"] == sid).unwrap()
        };
        assert_eq!(of(role), of(&policy));
        let actions = of(&policy)["Action"].clone();
        let actions = actions.as_array().cloned().unwrap_or_else(|| vec![actions]);
        for action in actions {
            assert!(module.contains(&action.to_string()), "the module lacks {action}");
        }
    }
}

#[test]
fn zones_follow_each_other_and_no_rule_has_connections_tracked() {
    let template = template();
    let resources = &template["Resources"];
    assert_eq!(resources["GroupB"]["DependsOn"], "GroupA");
    assert_eq!(resources["GroupC"]["DependsOn"], "GroupB");
    for group in ["GroupA", "GroupB", "GroupC"] {
        let update = &resources[group]["UpdatePolicy"]["AutoScalingRollingUpdate"];
        assert_eq!(update["WaitOnResourceSignals"], true);
        // The interface is free when nobody has it.
        assert_eq!(update["MinInstancesInService"], 0);
    }
    for group in ["HubSecurityGroup", "OutboundSecurityGroup"] {
        let rules = &resources[group]["Properties"];
        for rule in ["SecurityGroupIngress", "SecurityGroupEgress"] {
            let rules = rules[rule].as_array().unwrap();
            assert!(rules.iter().all(|rule| rule["CidrIp"] == "0.0.0.0/0"), "{rules:?}");
        }
    }
}
