//! What the file as a whole reads and refuses.

use serde_json::json;

use super::*;
use crate::decide::checks::CheckSet;
use crate::decide::policy;
use crate::decide::score::Weights;

#[track_caller]
fn check_error(text: &str, expect: &str) {
    assert_eq!(
        Config::parse(text).unwrap_err().to_string(),
        expect,
        "{text}"
    );
}

#[test]
fn an_empty_file_is_the_default() {
    for text in [
        "",
        "# nothing\n",
        "{}",
        "apiVersion: berth.dev/v1alpha1\nkind: BerthConfiguration\n",
    ] {
        assert_eq!(Config::parse(text).unwrap(), Config::default(), "{text}");
    }
}

#[test]
fn the_printed_default_is_the_default_and_names_every_field() {
    assert_eq!(Config::parse(DEFAULT).unwrap(), Config::default());
    let schema = serde_json::to_value(Config::schema()).unwrap();
    let mut fields = Vec::new();
    collect_fields(&schema, &mut fields);
    assert!(fields.len() > 30);
    for field in fields {
        assert!(
            DEFAULT.contains(&format!("{field}:")),
            "{field} is not in default.yaml"
        );
    }
}

#[test]
fn every_field_may_be_null_in_the_schema_as_in_the_file() {
    let schema = serde_json::to_value(Config::schema()).unwrap();
    let types = schema["$defs"].as_object().unwrap().values();
    let mut fields = 0;
    for (name, field) in types
        .chain([&schema])
        .filter_map(|kind| kind["properties"].as_object())
        .flatten()
    {
        let null = json!("null");
        let is_null = |one: &Value| one["type"] == null;
        let by_type = field["type"]
            .as_array()
            .is_some_and(|all| all.contains(&null));
        let by_choice = field["anyOf"]
            .as_array()
            .is_some_and(|all| all.iter().any(is_null));
        assert!(by_type || by_choice, "{name}: {field}");
        fields += 1;
    }
    assert!(fields > 30);
}

fn collect_fields(schema: &serde_json::Value, fields: &mut Vec<String>) {
    match schema {
        serde_json::Value::Object(map) => {
            for (key, value) in map {
                if let ("properties", Some(properties)) = (key.as_str(), value.as_object()) {
                    fields.extend(properties.keys().cloned());
                }
                collect_fields(value, fields);
            }
        }
        serde_json::Value::Array(items) => {
            for item in items {
                collect_fields(item, fields);
            }
        }
        _ => {}
    }
}

#[expect(clippy::too_many_lines, reason = "one table")]
#[test]
fn what_is_refused_is_named_by_path_value_and_expected_form() {
    for (text, expect) in [
        (
            "lunches: true",
            "lunches: unknown field; the fields here are apiVersion, kind, listen, adminListen, tls, log, network, guard, migrations, machineType, agents, southbound, continuity, nodeCondition, lease, scoring, limits, shutdown",
        ),
        (
            "guard: {lunches: true}",
            "guard.lunches: unknown field (did you mean launches?); the fields here are launches, checks",
        ),
        (
            "guard: {lunches: null}",
            "guard.lunches: unknown field (did you mean launches?); the fields here are launches, checks",
        ),
        (
            "log: {FORMAT: Human}",
            "log.FORMAT: unknown field (did you mean format?); the fields here are format, level",
        ),
        (
            "a b: 1",
            "a b: unknown field; the fields here are apiVersion, kind, listen, adminListen, tls, log, network, guard, migrations, machineType, agents, southbound, continuity, nodeCondition, lease, scoring, limits, shutdown",
        ),
        (
            "apiVersion: berth.dev/v1",
            "apiVersion: \"berth.dev/v1\" is not berth.dev/v1alpha1",
        ),
        ("kind: Pod", "kind: \"Pod\" is not BerthConfiguration"),
        ("kind: 7", "kind: 7 is not BerthConfiguration"),
        (
            "listen: here",
            "listen: \"here\" is not an address to listen on: use IP:PORT, such as 127.0.0.1:8443 or [::]:8443, localhost:PORT, or :PORT for every IPv4 address of the host",
        ),
        (
            "adminListen: 8080",
            "adminListen: 8080 is not an address to listen on: use IP:PORT, such as 127.0.0.1:8443 or [::]:8443, localhost:PORT, or :PORT for every IPv4 address of the host",
        ),
        (
            "machineType: {whenUnlabelled: Sometimes}",
            "machineType.whenUnlabelled: \"Sometimes\" is not one of Auto, Exclude, Allow",
        ),
        (
            "machineType: {whenUnlabelled: allow}",
            "machineType.whenUnlabelled: \"allow\" is not one of Auto, Exclude, Allow (did you mean Allow?)",
        ),
        (
            "machineType: {whenUnlabelled: true}",
            "machineType.whenUnlabelled: true is not one of Auto, Exclude, Allow",
        ),
        (
            "migrations: {admission: Dent}",
            "migrations.admission: \"Dent\" is not one of Warn, Deny, Off (did you mean Deny?)",
        ),
        (
            "agents: {whenUnseen: [Auto]}",
            "agents.whenUnseen: a list is not one of Auto, Exclude",
        ),
        (
            "guard: {checks: {source: maybe}}",
            "guard.checks.source: \"maybe\" is not true or false",
        ),
        (
            "guard: {checks: {source: yes}}",
            "guard.checks.source: \"yes\" is not true or false",
        ),
        ("guard: true", "guard: true is not a map of fields"),
        ("guard: [launches]", "guard: a list is not a map of fields"),
        (
            "tls: {certFile: 7}",
            "tls.certFile: 7 is not the path of a file",
        ),
        (
            "tls: {certFile: '', keyFile: /b}",
            "tls.certFile: \"\" is not the path of a file; leave it out, or set it to null",
        ),
        (
            "tls: {managed: {extraNames: berth}}",
            "tls.managed.extraNames: \"berth\" is not a list",
        ),
        (
            "log: {level: loud}",
            "log.level: \"loud\" is not a level: use off, error, warn, info, debug or trace, or a filter such as info,berth::decision=debug",
        ),
        (
            "log: {format: text}",
            "log.format: \"text\" is not a log format: use auto, human or json",
        ),
        (
            "limits: {handlerTimeout: 10}",
            "limits.handlerTimeout: 10 is not a duration above zero and up to 24h, such as 10s or 1m30s",
        ),
        (
            "limits: {handlerTimeout: soon}",
            "limits.handlerTimeout: \"soon\" is not a duration above zero and up to 24h, such as 10s or 1m30s",
        ),
        (
            "limits: {handlerTimeout: -1s}",
            "limits.handlerTimeout: \"-1s\" is not a duration above zero and up to 24h, such as 10s or 1m30s",
        ),
        (
            "limits: {handlerTimeout: 0s}",
            "limits.handlerTimeout: \"0s\" is not a duration above zero and up to 24h, such as 10s or 1m30s",
        ),
        (
            "limits: {admissionBody: much}",
            "limits.admissionBody: \"much\" is not a size above zero in bytes, such as 1048576, 8Mi or 1Gi",
        ),
        (
            "limits: {admissionBody: 0}",
            "limits.admissionBody: 0 is not a size above zero in bytes, such as 1048576, 8Mi or 1Gi",
        ),
        (
            "limits: {admissionBody: 2Gi}",
            "limits.admissionBody: 2Gi is more than a third of limits.admissionBodiesInFlight, 32Mi, which is what one connection may hold: no such body could be read",
        ),
        (
            "limits: {connections: 0}",
            "limits.connections: 0 would refuse everything; it is at least 1",
        ),
        (
            "limits: {connections: -1}",
            "limits.connections: -1 is not a whole number from 0 to 4294967295",
        ),
        (
            "limits: {connections: 1.5}",
            "limits.connections: 1.5 is not a whole number from 0 to 4294967295",
        ),
        (
            "limits: {connections: many}",
            "limits.connections: \"many\" is not a whole number from 0 to 4294967295",
        ),
        (
            "limits: {connections: 4294967296}",
            "limits.connections: 4294967296 is not a whole number from 0 to 4294967295",
        ),
        (
            "tls: {certFile: /a}",
            "tls.keyFile: is not set, and tls.certFile, /a, needs it",
        ),
        (
            "tls: {keyFile: /a}",
            "tls.certFile: is not set, and tls.keyFile, /a, needs it",
        ),
        (
            "tls: {certFile: /a, keyFile: /b, managed: {secretName: berth-tls}}",
            "tls.certFile: /a is set, and tls.managed.secretName, berth-tls, is too: set one of them",
        ),
        (
            "machineType: {equivalents: {q35: []}}",
            "machineType.equivalents.q35: [] names no machine type; list those whose label satisfies q35 as well, or leave it out",
        ),
        (
            "machineType: {equivalents: {q35: a}}",
            "machineType.equivalents.q35: \"a\" is not a list",
        ),
        (
            "machineType: {equivalents: {q35: [1]}}",
            "machineType.equivalents.q35[0]: 1 is not a text",
        ),
        (
            "agents: {namespace: \"\"}",
            "agents.namespace: \"\" is not the name of a namespace: use lower-case letters, digits and '-', beginning and ending with a letter or digit, up to 63 characters",
        ),
        (
            "agents: {namespace: kube_system}",
            "agents.namespace: \"kube_system\" is not the name of a namespace: use lower-case letters, digits and '-', beginning and ending with a letter or digit, up to 63 characters",
        ),
        (
            "- a",
            "a list is not a BerthConfiguration: a map of fields is expected, as `berth config default` prints it",
        ),
        (
            "hello",
            "a single value is not a BerthConfiguration: a map of fields is expected, as `berth config default` prints it",
        ),
        (
            "a: [",
            "not YAML: line 1, column 4: check indentation, quotes, brackets and colons there and just before",
        ),
        (
            "limits:\n\tconnections: 1\n",
            "not YAML: line 2, column 2: a tab is in the indentation, where YAML takes spaces alone",
        ),
        (
            "guard:\n  launches: true\n launches: true\n",
            "not YAML: line 3, column 2: check indentation, quotes, brackets and colons there and just before",
        ),
        (
            "listen: \"127.0.0.1:1\n",
            "not YAML: line 2, column 1: check indentation, quotes, brackets and colons there and just before",
        ),
        (
            "guard: {}\nguard: {}\n",
            "not YAML: line 2, column 1: the key \"guard\" is there twice",
        ),
        (
            "guard: {}\n---\nguard: {}\n",
            "not YAML: line 3, column 1: a second document begins, and one is expected",
        ),
        (
            "guard: *base\n",
            "not YAML: line 1, column 8: an alias (*NAME) has no anchor (&NAME) before it",
        ),
    ] {
        check_error(text, expect);
    }
}

#[test]
fn a_field_that_is_null_counts_as_left_out() {
    for text in [
        "guard:\n  # launches: true\n",
        "limits: {connections: null, handlerTimeout: ~}",
        "machineType: {equivalents: }",
        "{listen: null, tls: {managed: null}}",
    ] {
        assert_eq!(Config::parse(text).unwrap(), Config::default(), "{text}");
    }
}

#[test]
fn every_check_reaches_the_guard() {
    let text = "network: {provider: OVNKubernetes}\nguard: {launches: true, checks: {source: false, machineType: false, chassisRegistered: false, chassisIdentity: false, chassisTunnel: false, chassisAgents: false, chassisNetwork: false, chassisResponsive: false}}\nmachineType: {whenUnlabelled: Allow, equivalents: {a: [b]}}\nagents: {whenUnseen: Exclude}\nmigrations: {admission: Off}\n";
    assert_eq!(
        Config::parse(text).unwrap().policy(),
        Policy {
            provider: domain::Provider::OvnKubernetes,
            launches: true,
            checks: CheckSet::default(),
            when_unlabelled: policy::WhenUnlabelled::Allow,
            equivalents: [("a".into(), vec!["b".into()])].into(),
            when_unseen: policy::WhenUnseen::Exclude,
            allowed_lag: policy::ALLOWED_LAG,
            weights: Weights::default(),
            migration_admission: policy::MigrationAdmission::Off,
        }
    );
    assert_eq!(Config::default().policy(), Policy::default());
}
