//! A folder with one post that is due, and the questions asked of it afterwards.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use so_engine::{clock::Ids, loops::TIMER_POST};
use so_model::{
    IdSource as _,
    account::{Account, AccountState},
    content::Content,
    id::{PostId, WorkspaceId},
    post::{Post, PostState, Variant},
    rule::RuleDocument,
    workspace::Workspace,
};
use so_store::{
    Sql as _, Store, StoreOptions, accounts, posts, rules, timers, timers::Timer, workspaces,
};

use crate::network::{Class, Network};

const RULE: &str = "{version: 1, name: Publish when due, triggers: [{id: t, kind: post.due}], \
    steps: [{id: publish, action: post.publish, with: {post: '{{ event.data.post.id }}'}}]}";

/// A data folder and its post.
pub struct Ground {
    pub folder: PathBuf,
    workspace: WorkspaceId,
    post: PostId,
}

impl Ground {
    /// Lays the ground and closes it, so that all of it is on disk.
    ///
    /// The post is due after a span of microseconds.
    pub async fn lay(folder: &Path, due_in: i64) -> Result<Self, String> {
        let store = open(folder).await?;
        let (workspace, post) = set_up(&store, due_in).await.map_err(told)?;
        store.close().await.map_err(told)?;
        Ok(Self {
            folder: folder.to_path_buf(),
            workspace,
            post,
        })
    }

    /// A process on this folder.
    pub fn process(
        &self,
        network: &Network,
        class: Class,
        call_secs: u32,
    ) -> tokio::process::Command {
        let mut command = tokio::process::Command::new(std::env::current_exe().unwrap());
        command
            .arg("child")
            .arg(&self.folder)
            .args([
                network.port.to_string(),
                class.to_string(),
                call_secs.to_string(),
            ])
            .env_remove("KILL_AT")
            .stdout(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Looks at a copy, so that the looking heals nothing that the next process should meet.
    pub async fn check_integrity(&self, room: &Path) -> Result<(), String> {
        let copy = room.join("copy");
        std::fs::create_dir(&copy).map_err(told)?;
        for entry in std::fs::read_dir(&self.folder).map_err(told)? {
            let entry = entry.map_err(told)?;
            std::fs::copy(entry.path(), copy.join(entry.file_name())).map_err(told)?;
        }
        let store = open(&copy).await?;
        let rows = store
            .clone()
            .all("PRAGMA integrity_check", vec![])
            .await
            .map_err(told)?;
        let answers: Result<Vec<String>, _> = rows.iter().map(|row| row.text(0)).collect();
        store.close().await.map_err(told)?;
        std::fs::remove_dir_all(&copy).map_err(told)?;
        match answers.map_err(told)?.as_slice() {
            [answer] if answer == "ok" => Ok(()),
            wrong => Err(format!("the database is damaged: {wrong:?}")),
        }
    }

    /// What our side believes became of the post.
    pub async fn state(&self) -> Result<PostState, String> {
        let store = open(&self.folder).await?;
        let found = posts::find(&mut store.clone(), self.workspace, self.post)
            .await
            .map_err(told)?;
        store.close().await.map_err(told)?;
        found
            .map(|post| post.state)
            .ok_or_else(|| "the post is gone".to_string())
    }
}

pub fn told(error: impl std::fmt::Display) -> String {
    error.to_string()
}

async fn open(folder: &Path) -> Result<Store, String> {
    Store::open(&StoreOptions::in_folder(folder))
        .await
        .map_err(told)
}

async fn set_up(store: &Store, due_in: i64) -> Result<(WorkspaceId, PostId), so_store::StoreError> {
    let ids = Ids::system();
    let now = ids.now();
    let due_at = now.plus(due_in);
    let workspace = Workspace {
        id: ids.new_id(),
        name: "Drill".into(),
        time_zone: "UTC".into(),
        approval_required: false,
        created_at: now,
    };
    let mut tx = store.begin().await?;
    workspaces::insert(&mut tx, &workspace).await?;
    let account = Account {
        id: ids.new_id(),
        workspace: workspace.id,
        network: "double".into(),
        remote_id: "1".into(),
        name: "Ann".into(),
        handle: "@ann".into(),
        avatar_url: None,
        state: AccountState::Active,
        problem: None,
        settings: serde_json::Value::Null,
        destinations: Vec::new(),
        token_expires_at: None,
        created_at: now,
        updated_at: now,
    };
    let account = accounts::insert_or_replace(&mut tx, &account).await?;
    let post = Post {
        id: ids.new_id(),
        workspace: workspace.id,
        state: PostState::Scheduled,
        revision: 1,
        content: Content::status("Only once, please"),
        variants: vec![Variant {
            id: ids.new_id(),
            account: account.id,
            destination: None,
            content: None,
        }],
        labels: Vec::new(),
        author: None,
        origin: None,
        due_at: Some(due_at),
        queue: None,
        evergreen: None,
        recurrence: None,
        repeats: None,
        problem: None,
        created_at: now,
        updated_at: now,
        published_at: None,
    };
    posts::insert(&mut tx, &post).await?;
    let document: RuleDocument = serde_yaml_ng::from_str(RULE).unwrap();
    let rule = rules::RuleRow {
        id: ids.new_id(),
        workspace: workspace.id,
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
        source: RULE.into(),
        author: None,
        reason: String::new(),
        created_at: now,
        is_trial: false,
    };
    rules::insert(&mut tx, &rule, &version).await?;
    let timer = Timer {
        id: ids.new_id(),
        workspace: workspace.id,
        kind: TIMER_POST.into(),
        subject: post.id.to_string(),
        slot: String::new(),
        generation: 1,
        due_at,
        doc: serde_json::Value::Null,
    };
    timers::put(&mut tx, &timer).await?;
    tx.commit().await?;
    Ok((workspace.id, post.id))
}
