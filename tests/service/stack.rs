//! What can be said of the stack in `config/aws/` without AWS: by cfn-lint, and made in moto as far as moto goes.
//! What checkov says, `tests/service/stack.sh` tells.

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
    let more = resources.as_object().unwrap().values();
    let mut more = more.filter(|it| it["Type"] == "AWS::EC2::SecurityGroupIngress").peekable();
    assert!(more.peek().is_some());
    assert!(more.all(|it| it["Properties"]["CidrIp"] == "0.0.0.0/0"));
}

#[test]
fn cloudformation_would_take_the_template_and_moto_makes_it_in_two_zones_and_three() {
    let bin = venv().parent().unwrap().join("stack/bin");
    let run = |program: &str, file: &str| {
        let mut command = Command::new(bin.join(program));
        let run = command.arg(project().join(file)).output().expect("run tests/setup.sh");
        let told = String::from_utf8_lossy(&run.stdout).into_owned();
        assert!(run.status.success(), "{told}{}", String::from_utf8_lossy(&run.stderr));
        told
    };
    assert_eq!(run("cfn-lint", "config/aws/hub.yaml"), "");
    assert_eq!(run("python", "tests/service/stack.py").lines().count(), 2);
}

#[test]
fn the_modules_groups_have_no_connections_tracked_either() {
    let module = fs::read_to_string(project().join("config/aws/terraform/main.tf")).unwrap();
    let block = |start: &str| {
        let (_, rest) = module.split_once(start).unwrap_or_else(|| panic!("no {start}"));
        rest.split("\nresource ").next().unwrap().to_owned()
    };
    for group in ["hub", "out"] {
        let group = block(&format!("resource \"aws_security_group\" \"{group}\""));
        let wide = group.matches(r#"cidr_blocks = ["0.0.0.0/0"]"#).count();
        assert_eq!((wide, group.matches("cidr_blocks").count()), (2, 2), "{group}");
    }
    // It asks: all answers have to be let in, and not those to one port.
    let out = block("resource \"aws_security_group\" \"out\"");
    assert!(out.contains("from_port   = 0\n    to_port     = 65535"), "{out}");
    let endpoint = block("resource \"aws_route53_resolver_endpoint\" \"out\"");
    assert!(endpoint.contains("[aws_security_group.out[0].id]"), "{endpoint}");
}
