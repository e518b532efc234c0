//! Actions on our own database, each through a rule.

use so_model::{event::kind, post::PostState, time::HOUR};
use so_store::{labels, notifications, posts, queue_slots, queues};

use super::{START, World};

fn create(with: &str) -> String {
    format!("{{id: make, action: post.create, with: {{{with}}}}}")
}

#[test]
fn every_action_has_a_closed_schema_a_sample_and_words() {
    let mut seen = std::collections::BTreeSet::new();
    for action in crate::all(&super::deps()) {
        let spec = action.spec();
        assert!(
            seen.insert(spec.kind.clone()),
            "{} is listed twice",
            spec.kind
        );
        assert_eq!(spec.params_schema["type"], "object", "{}", spec.kind);
        assert_eq!(
            spec.params_schema["additionalProperties"], false,
            "{}",
            spec.kind
        );
        assert!(
            spec.sample_output.is_object(),
            "{} needs a sample",
            spec.kind
        );
        assert!(
            !spec.title.is_empty() && spec.description.ends_with('.'),
            "{}",
            spec.kind
        );
        let fields = spec.params_schema["properties"].as_object().unwrap();
        for (name, field) in fields {
            assert!(
                field["description"].is_string(),
                "{}/{name} needs a description",
                spec.kind
            );
        }
        let is_remote = matches!(action, so_engine::plugin::Action::Remote(_));
        assert_eq!(spec.is_remote, is_remote, "{}", spec.kind);
    }
    assert_eq!(seen.len(), 16);
}

#[tokio::test]
async fn a_post_has_texts_of_its_own_for_a_network_and_an_account() {
    let mut world = World::new().await;
    let account = world.account;
    let made = world
        .steps(&create(&format!("text: All, accounts: [{account}], variants: {{sandbox: {{text: Net}}}}, labels: [news, news]")))
        .await;
    let post = world.post(&made.post_id("make")).await;
    assert_eq!(post.content_for(&post.variants[0]).text, "Net");
    assert_eq!(
        (post.content.text.as_str(), post.labels.len(), post.state),
        ("All", 1, PostState::Draft)
    );

    let made = world
        .steps(&create(&format!("text: All, accounts: [{account}], variants: {{sandbox: {{text: Net}}, {account}: {{text: Own}}}}")))
        .await;
    let post = world.post(&made.post_id("make")).await;
    assert_eq!(post.content_for(&post.variants[0]).text, "Own");
}

#[tokio::test]
async fn mistakes_name_the_field() {
    let mut world = World::new().await;
    let account = world.account;
    let own_link = format!("variants/{account}/content/link/url: ");
    for (with, begin) in [
        ("labels: [a]".to_owned(), "text: "),
        (
            "text: a, accounts: [acct_01890a5dac96774bbcceb302099a8057]".to_owned(),
            "accounts/0: there is no account",
        ),
        (
            format!("text: a, accounts: [{account}], variants: {{mastodon: {{text: b}}}}"),
            "variants/mastodon: ",
        ),
        (
            "text: a, accounts_of: Nowhere".to_owned(),
            "accounts_of: there is no queue \"Nowhere\"",
        ),
        (
            "text: a, evergreen: {interval: soon, max_times: 2}".to_owned(),
            "evergreen/interval: ",
        ),
        (
            "content: {text: a, link: {url: 'javascript:alert(1)'}}".to_owned(),
            "content/link/url: ",
        ),
        (
            format!(
                "text: a, accounts: [{account}], variants: {{{account}: {{content: {{text: b, link: {{url: x}}}}}}}}"
            ),
            &own_link,
        ),
    ] {
        let outcome = world.steps(&create(&with)).await;
        assert!(
            outcome.error("make").starts_with(begin),
            "{with}: {}",
            outcome.error("make")
        );
    }
    assert!(world.all_posts().await.is_empty());
}

#[tokio::test]
async fn a_text_too_long_is_cut_by_the_networks_own_count_or_refused() {
    let mut world = World::new().await;
    let account = world.account_of("mastodon").await;
    let text = format!("{}https://example.com/a", "word ".repeat(150));
    let made = world
        .steps(&create(&format!(
            "text: '{text}', accounts: [{account}], fit: cut"
        )))
        .await;
    let post = world.post(&made.post_id("make")).await;
    assert!(
        post.content_for(&post.variants[0])
            .text
            .ends_with("… https://example.com/a")
    );
    assert_eq!(post.content.text, text);
    let refused = world
        .steps(&create(&format!(
            "text: '{text}', accounts: [{account}], fit: error"
        )))
        .await;
    assert!(
        refused.error("make").starts_with("text: "),
        "{}",
        refused.error("make")
    );
}

#[tokio::test]
async fn a_clone_is_a_new_post_that_names_the_old() {
    let mut world = World::new().await;
    let account = world.account;
    let first = world
        .steps(&create(&format!(
            "text: Old, accounts: [{account}], labels: [a]"
        )))
        .await;
    let id = first.post_id("make");
    let second = world
        .steps(&create(&format!("clone_of: {id}, text: New, labels: [b]")))
        .await;
    let post = world.post(&second.post_id("make")).await;
    assert_eq!(post.repeats.unwrap().to_string(), id);
    assert_eq!(
        (
            post.content.text.as_str(),
            post.labels.len(),
            post.variants.len()
        ),
        ("New", 2, 1)
    );
    assert_ne!(post.variants[0].id, world.post(&id).await.variants[0].id);
}

#[tokio::test]
async fn a_local_time_is_the_workspaces_and_says_so() {
    let mut world = World::new().await;
    let account = world.account;
    let outcome = world
        .steps(&format!(
            "{}, {{id: plan, action: post.schedule, with: {{post: '{{{{ steps.make.output.post.id }}}}', at: '2026-07-01T09:00'}}}}",
            create(&format!("text: a, accounts: [{account}]"))
        ))
        .await;
    assert_eq!(outcome.output("plan")["due_at"], "2026-07-01T07:00:00Z");
    assert!(
        outcome.output("plan")["explanation"]
            .as_str()
            .unwrap()
            .contains("Europe/Berlin")
    );
    let post = world.post(&outcome.post_id("plan")).await;
    assert_eq!(post.state, PostState::Scheduled);
    let timers = so_store::timers::list_for(
        &mut world.engine.store.clone(),
        world.workspace,
        "post",
        &post.id.to_string(),
    )
    .await
    .unwrap();
    assert_eq!(
        (timers.len(), Some(timers[0].due_at), timers[0].generation),
        (1, post.due_at, post.revision)
    );
    assert!(
        world
            .event_kinds()
            .await
            .contains(&kind::POST_SCHEDULED.to_owned())
    );
}

#[tokio::test]
async fn a_post_that_needs_an_approval_waits_for_it_with_its_time() {
    let mut world = World::new().await;
    world.require_approval().await;
    let account = world.account;
    let outcome = world
        .steps(&format!(
            "{}, {{id: plan, action: post.schedule, with: {{post: '{{{{ steps.make.output.post.id }}}}', after: 1h}}}}",
            create(&format!("text: a, accounts: [{account}], state: approved"))
        ))
        .await;
    let post = world.post(&outcome.post_id("plan")).await;
    assert_eq!(
        (post.state, post.due_at),
        (PostState::PendingApproval, Some(START.plus(HOUR)))
    );
    assert!(outcome.output("plan")["note"].is_string());
    assert!(
        world
            .event_kinds()
            .await
            .contains(&kind::POST_SUBMITTED.to_owned())
    );
}

#[tokio::test]
async fn a_post_moved_within_queues_frees_the_slot_it_held() {
    let mut world = World::new().await;
    let queue = world.queue("Main", &["12:00"]).await;
    let outcome = world
        .steps(&format!(
            "{}, {{id: one, action: queue.add, with: {{post: '{{{{ steps.make.output.post.id }}}}', queue: Main}}}}, \
             {{id: two, action: queue.add, with: {{post: '{{{{ steps.make.output.post.id }}}}', queue: {queue}, not_before: '2026-06-03T00:00:00Z'}}}}",
            create("text: a")
        ))
        .await;
    assert_eq!(outcome.output("one")["slot"]["at"], "2026-06-01T10:00:00Z");
    assert_eq!(outcome.output("two")["slot"]["at"], "2026-06-03T10:00:00Z");
    let held = queue_slots::list(
        &mut world.engine.store.clone(),
        world.workspace,
        queue,
        START,
        10,
    )
    .await
    .unwrap();
    assert_eq!(held.len(), 1);
    // A post without accounts takes the queue's.
    assert_eq!(world.post(&outcome.post_id("two")).await.variants.len(), 1);
}

#[tokio::test]
async fn an_edit_changes_the_text_and_a_published_post_cannot_be_edited() {
    let mut world = World::new().await;
    let account = world.account;
    let id = world
        .steps(&create(&format!(
            "text: a, accounts: [{account}], state: approved"
        )))
        .await
        .post_id("make");
    let edited = world
        .steps(&format!(
            "{{id: edit, action: post.edit, with: {{post: {id}, text: b}}}}"
        ))
        .await;
    assert_eq!(edited.output("edit")["post"]["content"]["text"], "b");
    let outcome = world
        .steps(&format!(
            "{{id: publish, action: post.publish, with: {{post: {id}}}}}, {{id: edit, action: post.edit, with: {{post: {id}, text: c}}}}"
        ))
        .await;
    assert!(
        outcome
            .error("edit")
            .contains("published and cannot be edited")
    );
    assert_eq!(world.published()[0].content.text, "b");
}

#[tokio::test]
async fn a_label_is_made_once_added_once_and_removed() {
    let mut world = World::new().await;
    let id = world.steps(&create("text: a")).await.post_id("make");
    let outcome = world
        .steps(&format!(
            "{{id: one, action: label.add, with: {{post: {id}, label: launch}}}}, \
             {{id: two, action: label.add, with: {{post: {id}, label: launch}}}}, \
             {{id: off, action: label.remove, with: {{post: {id}, label: launch}}}}, \
             {{id: gone, action: label.remove, with: {{post: {id}, label: never}}}}"
        ))
        .await;
    let changed = ["one", "two", "off", "gone"]
        .map(|step| outcome.output(step)["changed"].as_bool().unwrap());
    assert_eq!(changed, [true, false, true, false]);
    assert!(world.post(&id).await.labels.is_empty());
    assert_eq!(
        labels::list(&mut world.engine.store.clone(), world.workspace, "", 10)
            .await
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn a_notification_is_stored_once_and_bad_links_are_refused() {
    let mut world = World::new().await;
    world.steps("{id: tell, action: notify, with: {title: Hi, body: there, level: warning, link: /posts}}").await;
    let told = notifications::list(
        &mut world.engine.store.clone(),
        world.workspace,
        true,
        "",
        10,
    )
    .await
    .unwrap();
    assert_eq!(
        (told.len(), told[0].level.as_str(), told[0].body.as_str()),
        (1, "warning", "there")
    );
    for link in ["javascript:alert(1)", "//evil.example", "http://a.example"] {
        let outcome = world
            .steps(&format!(
                "{{id: tell, action: notify, with: {{title: Hi, link: '{link}'}}}}"
            ))
            .await;
        assert!(outcome.error("tell").starts_with("link: "), "{link}");
    }
}

#[tokio::test]
async fn a_called_rule_sees_the_input_and_who_called() {
    let mut world = World::new().await;
    let called = world
        .rule(
            "{version: 1, name: Called, triggers: [{id: t, kind: rule.called}], steps: [\
             {id: tell, action: notify, with: {title: 'Got {{ event.data.input.word }} of {{ event.data.caller.rule }}'}}]}",
        )
        .await;
    let caller = world
        .steps(&format!(
            "{{id: call, action: rule.call, with: {{rule: {called}, input: {{word: hello}}}}}}"
        ))
        .await;
    let told = notifications::list(
        &mut world.engine.store.clone(),
        world.workspace,
        true,
        "",
        10,
    )
    .await
    .unwrap();
    assert_eq!(told[0].title, format!("Got hello of {}", caller.run.rule));
    let absent = world
        .steps("{id: call, action: rule.call, with: {rule: rule_01890a5dac96774bbcceb302099a8057}}")
        .await;
    assert!(absent.error("call").starts_with("rule: there is no rule"));
}

#[tokio::test]
async fn a_call_that_waits_ends_as_the_called_run_does() {
    let mut world = World::new().await;
    for (steps, told) in [
        ("{id: x, set: {a: 1}}", ""),
        ("{id: x, stop: {error: true, reason: no good}}", "no good"),
        ("{id: d, delay: {for: 1s}}", ""),
    ] {
        let called = world
            .rule(&format!(
                "{{version: 1, name: Called, triggers: [{{id: t, kind: rule.called}}], steps: [{steps}]}}"
            ))
            .await;
        let text = format!("{{id: call, action: rule.call, with: {{rule: {called}, wait: true}}}}");
        let mut outcome = world.steps(&text).await;
        if steps.contains("delay") {
            assert_eq!(outcome.run.state, so_model::run::RunState::Waiting);
            world.clock.advance(so_model::time::SECOND);
            world.settle().await;
            outcome = world.outcome(outcome.run.rule).await;
        }
        if told.is_empty() {
            assert_eq!(outcome.output("call")["state"], "finished");
        } else {
            assert!(
                outcome.error("call").contains(told),
                "{}",
                outcome.error("call")
            );
        }
    }
}

#[tokio::test]
async fn a_call_whose_rule_does_not_start_says_why() {
    let mut world = World::new().await;
    let called = world
        .rule(
            "{version: 1, name: Called, triggers: [{id: t, kind: rule.called}], \
             if: {field: event.data.input.n, op: gt, value: 5}, steps: [{id: x, set: {a: 1}}]}",
        )
        .await;
    let outcome = world
        .steps(&format!(
            "{{id: call, action: rule.call, with: {{rule: {called}, wait: true, input: {{n: 3}}}}}}"
        ))
        .await;
    let error = outcome.error("call");
    assert!(
        error.contains("did not start") && error.contains('3'),
        "{error}"
    );
}

#[tokio::test]
async fn a_call_brings_what_the_rule_asks_for_or_fails_with_the_names() {
    let mut world = World::new().await;
    let called = world
        .rule(
            "{version: 1, name: Called, triggers: [{id: t, kind: rule.called}], \
             inputs: {word: {type: text}, times: {type: whole, default: 2}}, steps: [\
             {id: tell, action: notify, with: {title: '{{ event.data.input.word }} {{ event.data.input.times }}'}}]}",
        )
        .await;
    let call = |input: &str| {
        format!("{{id: call, action: rule.call, with: {{rule: {called}, input: {input}}}}}")
    };
    world.steps(&call("{word: hello}")).await;
    let told = notifications::list(
        &mut world.engine.store.clone(),
        world.workspace,
        true,
        "",
        10,
    )
    .await
    .unwrap();
    assert_eq!(told[0].title, "hello 2");
    let wrong = world.steps(&call("{word: 7, tims: 1}")).await;
    let error = wrong.error("call");
    assert!(
        error.contains("`word`") && error.contains("`tims`"),
        "{error}"
    );
}

#[tokio::test]
async fn a_rule_that_waits_for_itself_in_its_own_queue_is_told_so() {
    let mut world = World::new().await;
    let own = world
        .rule(
            "{version: 1, name: Own, triggers: [{id: t, kind: rule.called}], mode: {kind: queued}, steps: [\
             {id: call, action: rule.call, with: {rule: '{{ run.rule }}', wait: true}}]}",
        )
        .await;
    world
        .steps(&format!(
            "{{id: call, action: rule.call, with: {{rule: {own}}}}}"
        ))
        .await;
    let own = own.to_string();
    let filter = so_store::runs::RunFilter {
        rule: &own,
        ..Default::default()
    };
    let mut reader = world.engine.store.clone();
    let runs = so_store::runs::list(&mut reader, world.workspace, &filter, 9).await;
    let runs = runs.unwrap();
    let told = |run: &so_model::run::Run| {
        let reason = run.reason.as_deref().unwrap_or_default();
        reason.contains("waits for this call")
    };
    assert!(runs.iter().any(told), "{runs:?}");
    assert!(runs.iter().all(|run| run.state.is_over()));
}

#[tokio::test]
async fn a_script_computes_with_its_input_and_the_event() {
    let mut world = World::new().await;
    let outcome = world
        .steps(
            "{id: calc, action: script.run, with: {source: 'let a = vars.input.x; a * 2 + event.data.n', input: {x: 20}}}, \
             {id: tell, action: notify, with: {title: 'It is {{ steps.calc.output.value }}'}}",
        )
        .await;
    assert_eq!(outcome.output("calc")["value"], 41);
    let told = notifications::list(
        &mut world.engine.store.clone(),
        world.workspace,
        true,
        "",
        10,
    )
    .await
    .unwrap();
    assert_eq!(told[0].title, "It is 41");
    let broken = world
        .steps("{id: calc, action: script.run, with: {source: 'vars.input.x + 1', input: {}}}")
        .await;
    assert!(
        broken.error("calc").starts_with("source"),
        "{}",
        broken.error("calc")
    );
}

#[tokio::test]
async fn an_approved_post_that_a_rule_changes_needs_another_approval() {
    let mut world = World::new().await;
    let account = world.account;
    let with = format!("text: a, accounts: [{account}], state: approved");
    let id = world.steps(&create(&with)).await.post_id("make");
    world.require_approval().await;
    let edit =
        |text: &str| format!("{{id: edit, action: post.edit, with: {{post: {id}, text: {text}}}}}");
    let same = world.steps(&edit("a")).await;
    assert_eq!(same.output("edit")["post"]["state"], "approved");
    let other = world.steps(&edit("b")).await;
    assert_eq!(other.output("edit")["post"]["state"], "pending_approval");
    assert!(other.output("edit")["note"].is_string());
}

async fn put(world: &World, id: &str, state: PostState) {
    let mut post = world.post(id).await;
    post.state = state;
    let revision = post.revision;
    let mut tx = world.engine.store.begin().await.unwrap();
    posts::update(&mut tx, &post, revision).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn no_state_and_no_repeat_is_a_way_around_an_approval() {
    let mut world = World::new().await;
    let account = world.account;
    let evergreen = "evergreen: {interval: 30d, max_times: 3, variations: [b]}";
    let with = format!("text: a, accounts: [{account}], state: approved");
    let id = world.steps(&create(&with)).await.post_id("make");
    world.require_approval().await;
    let edit = |what: &str| format!("{{id: do, action: post.edit, with: {{post: {id}, {what}}}}}");
    let schedule = format!(
        "{{id: do, action: post.schedule, with: {{post: {id}, at: '2027-01-01T00:00:00Z'}}}}"
    );
    for state in [PostState::Missed, PostState::Failed] {
        for steps in [edit(&format!("text: {}", state.as_str())), schedule.clone()] {
            put(&world, &id, state).await;
            let done = world.steps(&steps).await;
            assert_eq!(
                done.output("do")["post"]["state"],
                "pending_approval",
                "{steps}"
            );
        }
    }
    put(&world, &id, PostState::Approved).await;
    let done = world.steps(&edit(evergreen)).await;
    assert_eq!(done.output("do")["post"]["state"], "pending_approval");
    let requeue = format!("{{id: do, action: queue.requeue, with: {{post: {id}}}}}");
    let done = world.steps(&requeue).await;
    assert_eq!(done.output("do")["post"]["state"], "pending_approval");
    put(&world, &id, PostState::Published).await;
    let clone = format!("clone_of: {id}, state: approved, {evergreen}");
    let made = world.steps(&create(&clone)).await;
    assert_eq!(made.output("make")["post"]["state"], "draft");
}

#[tokio::test]
async fn an_unchanged_clone_of_an_approved_post_is_approved_and_a_changed_one_is_not() {
    let mut world = World::new().await;
    let account = world.account;
    let with = format!("text: a, accounts: [{account}], state: approved");
    let id = world.steps(&create(&with)).await.post_id("make");
    world.require_approval().await;
    for (with, state) in [
        (format!("clone_of: {id}, state: approved"), "approved"),
        (format!("clone_of: {id}, text: b, state: approved"), "draft"),
    ] {
        let made = world.steps(&create(&with)).await;
        assert_eq!(made.output("make")["post"]["state"], state, "{with}");
    }
}

#[tokio::test]
async fn a_paused_queue_is_waited_for() {
    let mut world = World::new().await;
    let id = world.queue("Main", &["12:00"]).await;
    let pause = |is_paused: bool| {
        let (store, workspace) = (world.engine.store.clone(), world.workspace);
        async move {
            let mut tx = store.begin().await.unwrap();
            let mut queue = queues::find(&mut tx, workspace, id).await.unwrap().unwrap();
            queue.is_paused = is_paused;
            let generation = queue.generation;
            queues::update(&mut tx, &queue, generation).await.unwrap();
            tx.commit().await.unwrap();
        }
    };
    let (on, off) = (pause(true), pause(false));
    on.await;
    let steps = format!(
        "{}, {{id: add, action: queue.add, with: {{post: '{{{{ steps.make.output.post.id }}}}', queue: Main}}}}",
        create("text: a")
    );
    let waiting = world.steps(&steps).await;
    assert_eq!(waiting.memo("add").output["code"], "queue.paused");
    off.await;
    world.clock.advance(so_model::time::MINUTE);
    world.settle().await;
    let done = world.outcome(waiting.run.rule).await;
    assert_eq!(done.output("add")["slot"]["at"], "2026-06-01T10:00:00Z");
}
