//! What stands in the database before the first process starts, what a person does, and what is found there.

use std::sync::Arc;

use serde_json::{Value, json};
use so_actions::{Access, put_token};
use so_connectors::{
    ConnectedAccount, Connector, SignInStart,
    bluesky::double::{HANDLE, PASSWORD},
};
use so_engine::{clock::Ids, loops::TIMER_POST, publish::JOB_PUBLICATION};
use so_model::{
    IdSource as _,
    account::{Account, AccountState},
    content::{Content, ContentType, MediaUse},
    event::kind,
    id::{MediaId, WorkspaceId},
    post::{Post, PostState, Variant},
    publication::PublicationState,
    rule::RuleDocument,
    workspace::Workspace,
};
use so_store::{
    Sql as _, Store, StoreOptions, Tx, accounts, args, jobs, media, posts, publications, rules,
    timers, timers::Timer, workspaces,
};

use crate::child::{FILE, Report, access};

const PUBLISH: &str = r#"{"version": 1, "name": "Publish when due", "triggers": [{"id": "t", "kind": "post.due"}],
    "steps": [{"id": "publish", "action": "post.publish", "with": {"post": "{{ event.data.post.id }}"}}]}"#;

/// The database of one case.
pub struct Ground {
    url: String,
    access: Access,
    ids: Ids,
    workspace: WorkspaceId,
    /// False: the network calls a token ended that ours takes for good.
    knows_end: bool,
}

impl Ground {
    pub async fn lay(url: &str, network: &str, is_photo: bool, knows_end: bool) -> Self {
        let ids = Ids::system();
        let ground = Self {
            url: url.to_string(),
            access: access(network, ids.clone()),
            workspace: ids.new_id(),
            ids,
            knows_end,
        };
        let store = ground.open().await;
        let connected = ground.sign_in().await;
        let mut tx = store.begin().await.unwrap();
        ground.put_workspace_and_rule(&mut tx).await;
        let account = ground.put_account(&mut tx, &connected).await;
        let content = match is_photo {
            true => ground.photo(&mut tx).await,
            false => Content::status("Only once, please"),
        };
        ground.put_post(&mut tx, &account, content).await;
        tx.commit().await.unwrap();
        store.close().await.unwrap();
        ground
    }

    async fn open(&self) -> Store {
        Store::open(&StoreOptions::at(&self.url)).await.unwrap()
    }

    async fn sign_in(&self) -> ConnectedAccount {
        let connector: Arc<dyn Connector> = self.access.connectors().find("bluesky").unwrap();
        let form = json!({"identifier": HANDLE, "password": PASSWORD});
        let cx = self.access.cx();
        let started = connector
            .begin_sign_in(&cx, form.as_object().unwrap(), "", "")
            .await;
        match started.unwrap() {
            SignInStart::Done(connected) => *connected,
            SignInStart::Redirect { .. } => panic!("a password connects at once"),
        }
    }

    /// What the server does when a person signs in again.
    pub async fn connect_again(&self) {
        let store = self.open().await;
        let connected = self.sign_in().await;
        let mut tx = store.begin().await.unwrap();
        let account = self.put_account(&mut tx, &connected).await;
        let held = PublicationState::Held;
        let rows =
            publications::list_for_account(&mut tx, self.workspace, account.id, held, 10).await;
        for row in rows.unwrap() {
            let (id, subject) = (self.ids.new_id(), row.id.to_string());
            jobs::wake(
                &mut tx,
                id,
                self.workspace,
                JOB_PUBLICATION,
                &subject,
                self.ids.now(),
            )
            .await
            .unwrap();
        }
        tx.commit().await.unwrap();
        store.close().await.unwrap();
    }

    async fn put_account(&self, tx: &mut Tx, connected: &ConnectedAccount) -> Account {
        let now = self.ids.now();
        let account = Account {
            id: self.ids.new_id(),
            workspace: self.workspace,
            network: "bluesky".into(),
            remote_id: connected.remote_id.clone(),
            name: "Ann".into(),
            handle: "@ann".into(),
            avatar_url: None,
            state: AccountState::Active,
            problem: None,
            settings: connected.settings.clone(),
            destinations: Vec::new(),
            token_expires_at: connected.token_expires_at.filter(|_| self.knows_end),
            created_at: now,
            updated_at: now,
        };
        let account = accounts::insert_or_replace(tx, &account).await.unwrap();
        put_token(tx, self.access.vault(), &account, &connected.token, now)
            .await
            .unwrap();
        account
    }

    async fn put_workspace_and_rule(&self, tx: &mut Tx) {
        let now = self.ids.now();
        let workspace = Workspace {
            id: self.workspace,
            name: "Drill".into(),
            time_zone: "UTC".into(),
            approval_required: false,
            created_at: now,
        };
        workspaces::insert(tx, &workspace).await.unwrap();
        let document: RuleDocument = serde_json::from_str(PUBLISH).unwrap();
        let rule = rules::RuleRow {
            id: self.ids.new_id(),
            workspace: self.workspace,
            name: document.name.clone(),
            is_enabled: true,
            version: 1,
            generation: 1,
            starter: None,
            problem: None,
            created_at: now,
            updated_at: now,
        };
        let version = rules::RuleVersion {
            rule: rule.id,
            version: 1,
            document,
            source: PUBLISH.into(),
            author: None,
            reason: String::new(),
            created_at: now,
            is_trial: false,
        };
        rules::insert(tx, &rule, &version).await.unwrap();
    }

    async fn photo(&self, tx: &mut Tx) -> Content {
        let id: MediaId = self.ids.new_id();
        let file = media::MediaFile {
            id,
            workspace: self.workspace,
            name: "a.png".into(),
            mime: "image/png".into(),
            bytes: i64::try_from(FILE.len()).unwrap(),
            width: 10,
            height: 10,
            alt: "A picture".into(),
            sha256: "0".repeat(64),
            storage_key: "one".into(),
            created_at: self.ids.now(),
        };
        media::insert(tx, &file).await.unwrap();
        let mut content = Content::status("Only once, please");
        content.kind = ContentType::Photo;
        content.media = vec![MediaUse {
            id,
            alt: "A cat".into(),
        }];
        content
    }

    async fn put_post(&self, tx: &mut Tx, account: &Account, content: Content) {
        let now = self.ids.now();
        let variant = Variant {
            id: self.ids.new_id(),
            account: account.id,
            destination: None,
            content: None,
        };
        let post = Post {
            id: self.ids.new_id(),
            workspace: self.workspace,
            state: PostState::Scheduled,
            revision: 1,
            content,
            variants: vec![variant],
            labels: Vec::new(),
            author: None,
            origin: None,
            due_at: Some(now),
            queue: None,
            evergreen: None,
            recurrence: None,
            repeats: None,
            problem: None,
            created_at: now,
            updated_at: now,
            published_at: None,
        };
        posts::insert(tx, &post).await.unwrap();
        let timer = Timer {
            id: self.ids.new_id(),
            workspace: self.workspace,
            kind: TIMER_POST.into(),
            subject: post.id.to_string(),
            slot: String::new(),
            generation: 1,
            due_at: now,
            doc: Value::Null,
        };
        timers::put(tx, &timer).await.unwrap();
    }
}

/// What the database says when all is over.
pub async fn look(store: &Store) -> Report {
    let mut reader = store.clone();
    let mut post = None;
    for state in [
        PostState::Publishing,
        PostState::Published,
        PostState::Failed,
        PostState::NeedsReview,
    ] {
        let found = posts::list_in_state(&mut reader, state, "", 1)
            .await
            .unwrap();
        post = found.first().map(|post| post.state).or(post);
    }
    let held = publications::list_by_state(&mut reader, PublicationState::Held, 5).await;
    let rows = reader
        .all("SELECT workspace_id, id FROM accounts", args![])
        .await
        .unwrap();
    let (workspace, account): (WorkspaceId, so_model::id::AccountId) =
        (rows[0].id(0).unwrap(), rows[0].id(1).unwrap());
    let account = accounts::find(&mut reader, workspace, account)
        .await
        .unwrap();
    let asked = so_store::events::list(
        &mut reader,
        workspace,
        kind::ACCOUNT_RECONNECT_REQUIRED,
        "",
        "",
        9,
    );
    Report {
        post,
        held: held.unwrap().len(),
        account: account.map(|account| account.state),
        flagged: asked.await.unwrap().len(),
    }
}
