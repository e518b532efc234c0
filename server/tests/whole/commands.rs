//! Every command of the program besides `serve`.

use std::{
    fs::Permissions,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    process::Output,
};

use serde_json::Value;
use so_testkit::product::Product;

use crate::desk::{Desk, HASTY, PASSWORD, PROGRAM};

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The output of a command that must succeed.
fn succeeds(product: &Product, args: &[&str]) -> String {
    let output = product.run(args);
    assert!(output.status.success(), "{args:?}: {}", err(&output));
    out(&output)
}

/// The complaint of a command that must fail without a word on standard output.
fn fails(product: &Product, args: &[&str]) -> String {
    let output = product.run(args);
    assert_eq!(
        output.status.code(),
        Some(1),
        "{args:?}: {}{}",
        out(&output),
        err(&output)
    );
    err(&output)
}

#[test]
fn the_configuration_is_shown_without_secrets_and_with_its_sources() {
    let settings = [
        ("SO_NETWORKS_MASTODON_CLIENT_SECRET", "hush-hush"),
        ("SO_PUBLISH_WORKERS", "3"),
    ];
    let product = Product::prepare(PROGRAM, &settings);
    let shown = succeeds(&product, &["config", "check"]);
    assert!(
        !shown.contains("hush-hush") && shown.contains("***"),
        "{shown}"
    );
    let workers = shown.lines().find(|line| line.contains("workers")).unwrap();
    assert!(
        workers.contains('3') && workers.contains("SO_PUBLISH_WORKERS"),
        "{workers}"
    );
}

#[test]
fn an_unknown_setting_is_an_error_that_names_the_nearest_one() {
    let product = Product::prepare(PROGRAM, &[("SO_SERVER_LISTN", "127.0.0.1:1")]);
    let said = fails(&product, &["config", "check"]);
    assert!(
        said.contains("SO_SERVER_LISTN") && said.contains("SO_SERVER_LISTEN?"),
        "{said}"
    );
    assert!(fails(&product, &["serve"]).contains("SO_SERVER_LISTN"));

    let product = Product::prepare(PROGRAM, &[]);
    std::fs::create_dir_all(product.data_dir()).unwrap();
    std::fs::write(
        product.data_dir().join("social-orchestrator.toml"),
        "[server]\nlisen = \"x\"\n",
    )
    .unwrap();
    let said = fails(&product, &["config", "check"]);
    assert!(
        said.contains("server.lisen") && said.contains("server.listen?"),
        "{said}"
    );
}

#[test]
fn the_api_document_is_printed_without_a_configuration() {
    let product = Product::prepare(PROGRAM, &[("SO_SERVER_LISTN", "x")]);
    let document: Value = serde_json::from_str(&succeeds(&product, &["openapi"])).unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    assert!(document["paths"]["/api/v1/workspaces/{ws}/rules"]["post"].is_object());
    assert!(!product.data_dir().exists(), "nothing was made");
}

#[test]
fn a_schema_is_brought_up_to_date_as_often_as_one_likes() {
    let product = Product::prepare(PROGRAM, &[]);
    for _ in 0..2 {
        assert!(succeeds(&product, &["migrate"]).contains("up to date"));
    }
}

#[test]
fn a_person_made_by_command_logs_in_where_nobody_may_register() {
    let mut product = Product::prepare(PROGRAM, &[("SO_AUTH_REGISTRATION", "closed")]);
    let args = [
        "user",
        "create",
        "--email",
        "ann@example.org",
        "--name",
        "Ann",
        "--time-zone",
        "Europe/Berlin",
    ];
    let made = succeeds(&product, &args);
    let password = made
        .lines()
        .find_map(|line| line.strip_prefix("password: "))
        .unwrap();
    assert!(
        fails(&product, &args).contains("email"),
        "an address is one person's"
    );
    product.start_again();
    let desk = Desk::log_in(&product, "ann@example.org", password);
    let names: Vec<Value> = desk
        .list(&product, "rules")
        .iter()
        .map(|rule| rule["name"].clone())
        .collect();
    assert!(names.contains(&"Publish when due".into()), "{names:?}");

    let body = serde_json::json!({"name": "Bob", "email": "bob@example.org", "password": PASSWORD});
    assert_eq!(
        product
            .call("POST", "/api/v1/auth/register", None, Some(&body))
            .status,
        403
    );
}

#[test]
fn a_second_process_leaves_the_first_ones_folder_alone() {
    let product = Product::start(PROGRAM, &[]);
    assert!(fails(&product, &["serve", "--listen", "127.0.0.1:0"]).contains("another process"));
    assert_eq!(product.call("GET", "/healthz", None, None).status, 200);
}

#[test]
fn rules_are_judged_by_place_and_exit_code() {
    let product = Product::prepare(PROGRAM, &[]);
    let write = |name: &str, text: &str| {
        let path = product.folder().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let start = "version: 1\nname: A\ntriggers:\n  - {id: call, kind: webhook.received}\nsteps:\n  - id: tell\n";
    let good = write(
        "good.yaml",
        &format!("{start}    action: notify\n    with: {{title: Hello}}\n"),
    );
    let bad = write(
        "bad.yaml",
        &format!("{start}    action: notfy\n    with: {{title: Hello}}\n"),
    );
    assert!(succeeds(&product, &["rules", "validate", &good]).contains("valid: A"));

    let output = product.run(&["rules", "validate", &good, &bad]);
    assert_eq!(output.status.code(), Some(1));
    let said = out(&output);
    assert!(
        said.contains("bad.yaml:7:") && said.contains("did you mean notify?"),
        "{said}"
    );
    assert!(err(&output).contains("1 of 2"));
}

#[test]
fn a_backup_of_a_running_server_is_a_server_again_elsewhere() {
    let mut product = Product::start(PROGRAM, &[]);
    let desk = Desk::register(&product, "keeper");
    let account = desk.sandbox(&product);
    let post = desk.schedule(&product, &account, "Kept", 3600);
    let copy = product.folder().join("copy");
    let copy = copy.to_str().unwrap();
    succeeds(&product, &["backup", copy]);
    assert!(fails(&product, &["backup", copy]).contains("exists already"));
    assert!(
        !std::path::Path::new(copy).join("secrets.key").exists(),
        "the key is no part of it"
    );
    // Not in the backup, so not in what is restored.
    let later = desk.schedule(&product, &account, "Written later", 3600);

    assert!(
        fails(&product, &["restore", copy]).contains("another process"),
        "not under a running server"
    );
    let mut other = restored(&product, copy);
    assert!(
        fails(&other, &["restore", copy]).contains("--force"),
        "what is there is not overwritten"
    );
    other.start_again();
    let there = Desk::log_in(&other, "keeper@example.org", PASSWORD);
    assert_eq!(
        there.get(&other, &format!("posts/{post}"))["post"]["content"]["text"],
        "Kept"
    );
    assert_eq!(
        there
            .send(&other, "GET", &format!("posts/{later}"), None)
            .status,
        404
    );
    product.terminate();
}

#[test]
fn a_server_restored_beside_the_one_that_runs_publishes_nothing_until_a_person_says_so() {
    let product = Product::start(PROGRAM, &[]);
    let desk = Desk::register(&product, "careful");
    let account = desk.sandbox(&product);
    let post = desk.schedule(&product, &account, "Once only", 3600);
    let copy = product.folder().join("copy");
    succeeds(&product, &["backup", copy.to_str().unwrap()]);
    // It goes out after the backup was taken, so the backup does not know.
    let publish = format!("posts/{post}/publish-now");
    desk.post(&product, &publish, &Value::Null);
    desk.wait_for_post(&product, &post, "published");

    let mut other = restored(&product, copy.to_str().unwrap());
    other.start_again();
    let ready = other.call("GET", "/readyz", None, None).json().unwrap();
    assert_eq!(ready["status"], "held");
    let there = Desk::log_in(&other, "careful@example.org", PASSWORD);
    there.post(&other, &publish, &Value::Null);
    let seen = there.get(&other, &format!("posts/{post}"));
    assert_eq!(seen["post"]["state"], "scheduled");
    assert!(there.timeline(&other).is_empty(), "it is due, and waits");
    assert!(other.terminate().0.success());

    other.start_with(&["--resume"]);
    there.wait_for_post(&other, &post, "published");
    assert_eq!(there.timeline(&other).len(), 1);
}

#[test]
fn data_are_private_in_any_folder_and_replaced_only_as_a_whole() {
    let open_folder = |product: &Product| {
        std::fs::create_dir_all(product.data_dir()).unwrap();
        let all = Permissions::from_mode(0o755);
        std::fs::set_permissions(product.data_dir(), all).unwrap();
    };
    let mut product = Product::prepare(PROGRAM, &[]);
    open_folder(&product);
    product.start_again();
    let database = product.data_dir().join("social-orchestrator.db");
    assert_eq!(modes(&product, "social-orchestrator.db"), [0o600; 3]);
    let copy = product.folder().join("copy");
    let copy = copy.to_str().unwrap();
    succeeds(&product, &["backup", copy]);
    // As an earlier version left it.
    let media = std::path::Path::new(copy).join("media/ws_1");
    std::fs::create_dir_all(&media).unwrap();
    std::fs::write(media.join("new"), "new").unwrap();
    assert!(product.terminate().0.success());

    let old = product.data_dir().join("media/old");
    std::fs::write(&old, "old").unwrap();
    let left = product.data_dir().join("restoring-media");
    std::fs::create_dir_all(left.join("of-a-crash")).unwrap();
    let restore = ["restore", "--force", copy];
    let manifest = std::path::Path::new(copy).join("backup.json");
    let listed = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(
        &manifest,
        listed.replace("\"database_sha256\": \"", "\"database_sha256\": \"0"),
    )
    .unwrap();
    assert!(fails(&product, &restore).contains("damaged"));
    assert!(old.exists() && database.exists());

    std::fs::write(
        &manifest,
        listed.replace("\"media_files\": 0", "\"media_files\": 1"),
    )
    .unwrap();
    assert!(succeeds(&product, &restore).contains("1 uploads"));
    assert!(!old.exists() && !left.exists());
    let new = product.data_dir().join("media/ws_1/new");
    assert_eq!(std::fs::metadata(new).unwrap().mode() & 0o777, 0o600);
}

/// Permissions of the files whose names begin so.
fn modes(product: &Product, name: &str) -> Vec<u32> {
    let entries = std::fs::read_dir(product.data_dir()).unwrap();
    entries
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_name().to_str().unwrap().starts_with(name))
        .map(|entry| entry.metadata().unwrap().mode() & 0o777)
        .collect()
}

/// A backup put into a new folder, with the key that is kept elsewhere.
fn restored(product: &Product, copy: &str) -> Product {
    let other = Product::prepare(PROGRAM, &HASTY);
    std::fs::create_dir_all(other.data_dir()).unwrap();
    std::fs::copy(
        product.data_dir().join("secrets.key"),
        other.data_dir().join("secrets.key"),
    )
    .unwrap();
    succeeds(&other, &["restore", copy]);
    other
}
