//! Rules as CloudFormation, Terraform, and the input of the AWS CLI.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::rules::{Rules, RulesError, alphanumeric};

/// A template in YAML. The outbound endpoint is a parameter, with what is known as its default.
pub fn cloudformation(rules: &Rules) -> Result<String, RulesError> {
    rules.check_template()?;
    let mut text = String::from(
        "AWSTemplateFormatVersion: \"2010-09-09\"\n\
         Description: Route 53 Resolver rules to hubdns\n\
         Parameters:\n  OutboundEndpointId:\n    Type: String\n    \
         Description: The Resolver outbound endpoint that can reach the hubs\n",
    );
    if let Some(endpoint) = &rules.endpoint {
        text += &format!("    Default: {}\n", quoted(endpoint));
    }
    text += "Resources:\n";
    for rule in rules.named() {
        let id = &rule.logical;
        let kind = if rule.forwards { "FORWARD" } else { "SYSTEM" };
        text += &format!(
            "  {id}:\n    Type: AWS::Route53Resolver::ResolverRule\n    Properties:\n      \
             Name: {}\n      DomainName: {}\n      RuleType: {kind}\n",
            quoted(&rule.name),
            quoted(&rule.domain.to_string()),
        );
        if rule.forwards {
            text += "      ResolverEndpointId: !Ref OutboundEndpointId\n      TargetIps:\n";
            for target in &rules.targets {
                let key = if target.is_ipv4() { "Ip" } else { "Ipv6" };
                text += &format!(
                    "        - {key}: {}\n          Port: \"{}\"\n",
                    quoted(&target.ip().to_string()),
                    target.port()
                );
            }
        }
        for vpc in &rules.vpcs {
            text += &format!(
                "  {id}In{}:\n    Type: AWS::Route53Resolver::ResolverRuleAssociation\n    \
                 Properties:\n      ResolverRuleId: !GetAtt {id}.ResolverRuleId\n      VPCId: {}\n",
                alphanumeric(vpc),
                quoted(vpc)
            );
        }
    }
    Ok(text)
}

/// A module with the outbound endpoint and the VPCs as its variables.
pub fn terraform(rules: &Rules) -> String {
    let mut text = String::from(
        "# Route 53 Resolver rules to hubdns\n\nvariable \"outbound_endpoint_id\" {\n  \
         description = \"The Resolver outbound endpoint that can reach the hubs\"\n  \
         type        = string\n",
    );
    if let Some(endpoint) = &rules.endpoint {
        text += &format!("  default     = {}\n", quoted(endpoint));
    }
    let vpcs: Vec<String> = rules.vpcs.iter().map(|vpc| quoted(vpc)).collect();
    text += &format!(
        "}}\n\nvariable \"vpc_ids\" {{\n  description = \"VPCs whose clients ask the hubs; never the \
         hubs' own\"\n  type        = set(string)\n  default     = [{}]\n}}\n",
        vpcs.join(", ")
    );
    for rule in rules.named() {
        let id = &rule.resource;
        let (name, domain) = (quoted(&rule.name), quoted(&rule.domain.to_string()));
        if rule.forwards {
            text += &format!(
                "\nresource \"aws_route53_resolver_rule\" \"{id}\" {{\n  \
                 name                 = {name}\n  domain_name          = {domain}\n  \
                 rule_type            = \"FORWARD\"\n  \
                 resolver_endpoint_id = var.outbound_endpoint_id\n"
            );
            rules.targets.iter().for_each(|target| text += &target_block(*target));
        } else {
            text += &format!(
                "\nresource \"aws_route53_resolver_rule\" \"{id}\" {{\n  name        = {name}\n  \
                 domain_name = {domain}\n  rule_type   = \"SYSTEM\"\n"
            );
        }
        text += &format!(
            "}}\n\nresource \"aws_route53_resolver_rule_association\" \"{id}\" {{\n  \
             for_each = var.vpc_ids\n\n  \
             resolver_rule_id = aws_route53_resolver_rule.{id}.id\n  \
             vpc_id           = each.value\n}}\n"
        );
    }
    text
}

fn target_block(target: SocketAddr) -> String {
    let (ip, port) = (quoted(&target.ip().to_string()), target.port());
    match target.is_ipv4() {
        true => format!("\n  target_ip {{\n    ip   = {ip}\n    port = {port}\n  }}\n"),
        false => format!("\n  target_ip {{\n    ipv6 = {ip}\n    port = {port}\n  }}\n"),
    }
}

/// For each rule what `aws route53resolver create-resolver-rule --cli-input-json` takes, and the
/// VPCs that each is to be associated with.
pub fn json(rules: &Rules) -> Value {
    let all = rules.named().into_iter().map(|rule| {
        let mut input = json!({
            "CreatorRequestId": rule.name,
            "Name": rule.name,
            "RuleType": if rule.forwards { "FORWARD" } else { "SYSTEM" },
            "DomainName": rule.domain.to_string(),
        });
        if rule.forwards {
            input["TargetIps"] = rules.targets.iter().map(|target| target_json(*target)).collect();
            if let Some(endpoint) = &rules.endpoint {
                input["ResolverEndpointId"] = json!(endpoint);
            }
        }
        input
    });
    json!({ "rules": all.collect::<Vec<Value>>(), "vpc_ids": rules.vpcs })
}

fn target_json(target: SocketAddr) -> Value {
    match target.is_ipv4() {
        true => json!({ "Ip": target.ip().to_string(), "Port": target.port() }),
        false => json!({ "Ipv6": target.ip().to_string(), "Port": target.port() }),
    }
}

/// In the quotes that YAML, JSON and HCL have in common.
fn quoted(text: &str) -> String {
    Value::from(text).to_string().replace("${", "$${")
}
