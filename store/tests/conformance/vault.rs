//! Secrets in the database: sealed, bound to their place, and rotated.

use so_store::{
    network_apps, secrets,
    vault::{MasterKey, Vault},
};

use crate::support::{Db, NOW, on_both};

const PLAIN: &str = "correct-horse-battery-staple-0123456789";

fn vault(seeds: &[u8]) -> Vault {
    Vault::new(seeds.iter().map(|s| MasterKey::new([*s; 32])).collect()).unwrap()
}

on_both!(a_secret_is_replaced_found_and_removed_with_its_owner);
async fn a_secret_is_replaced_found_and_removed_with_its_owner(db: Db) {
    let (mine, theirs) = (db.workspace().await, db.workspace().await);
    let vault = vault(&[1]);
    let mut tx = db.begin().await;
    for (name, text) in [("access", "old"), ("access", PLAIN), ("refresh", "r")] {
        secrets::put(&mut tx, &vault, mine, "acct_1", name, text, NOW)
            .await
            .unwrap();
    }
    let get = async |tx: &mut so_store::Tx, workspace, owner| {
        secrets::get(tx, &vault, workspace, owner, "access")
            .await
            .unwrap()
    };
    let found = get(&mut tx, mine, "acct_1").await.unwrap();
    assert_eq!((found.expose(), found.to_string().as_str()), (PLAIN, "***"));
    assert!(get(&mut tx, theirs, "acct_1").await.is_none());
    assert!(get(&mut tx, mine, "acct_2").await.is_none());
    let foreign = secrets::delete_for_owner(&mut tx, theirs, "acct_1").await;
    assert_eq!(foreign.unwrap(), 0);
    let removed = secrets::delete_for_owner(&mut tx, mine, "acct_1").await;
    assert_eq!(removed.unwrap(), 2);
    assert!(get(&mut tx, mine, "acct_1").await.is_none());
    tx.commit().await.unwrap();
}

on_both!(a_rotation_ends_when_no_secret_needs_the_former_key);
async fn a_rotation_ends_when_no_secret_needs_the_former_key(db: Db) {
    let workspace = db.workspace().await;
    let (old, both, new) = (vault(&[1]), vault(&[2, 1]), vault(&[2]));
    let mut tx = db.begin().await;
    for n in 0..5 {
        let owner = format!("acct_{n}");
        secrets::put(&mut tx, &old, workspace, &owner, "access", PLAIN, NOW)
            .await
            .unwrap();
    }
    for host in ["m.example", "n.example"] {
        network_apps::put(&mut tx, &old, "mastodon", host, PLAIN, NOW)
            .await
            .unwrap();
    }
    tx.commit().await.unwrap();
    let mut left = Vec::new();
    for _ in 0..4 {
        let mut tx = db.begin().await;
        left.push(secrets::rotate(&mut tx, &both, 3).await.unwrap());
        tx.commit().await.unwrap();
    }
    assert_eq!(left, [4, 1, 0, 0]);
    let mut read = db.read();
    for n in 0..5 {
        let owner = format!("acct_{n}");
        let found = secrets::get(&mut read, &new, workspace, &owner, "access").await;
        assert_eq!(found.unwrap().unwrap().expose(), PLAIN);
        let former = secrets::get(&mut read, &old, workspace, &owner, "access").await;
        assert!(former.is_err());
    }
    let app = network_apps::find(&mut read, &new, "mastodon", "n.example").await;
    assert_eq!(app.unwrap().unwrap().expose(), PLAIN);
}

on_both!(a_secret_copied_to_another_place_does_not_open);
async fn a_secret_copied_to_another_place_does_not_open(db: Db) {
    use so_store::{Sql as _, args};
    let (mine, theirs) = (db.workspace().await, db.workspace().await);
    let vault = vault(&[1]);
    let mut tx = db.begin().await;
    secrets::put(&mut tx, &vault, theirs, "acct_1", "access", PLAIN, NOW)
        .await
        .unwrap();
    tx.run(
        "INSERT INTO secrets (workspace_id, owner, name, key_id, wrapped_key, sealed, updated_at) \
         SELECT $1, owner, name, key_id, wrapped_key, sealed, updated_at FROM secrets",
        args![mine],
    )
    .await
    .unwrap();
    let stolen = secrets::get(&mut tx, &vault, mine, "acct_1", "access").await;
    assert!(stolen.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_file_of_sqlite_holds_a_secret_in_the_clear() {
    let db = Db::sqlite().await;
    let workspace = db.workspace().await;
    let mut tx = db.begin().await;
    secrets::put(&mut tx, &vault(&[1]), workspace, "a", "access", PLAIN, NOW)
        .await
        .unwrap();
    // What must be found, so that a search that finds nothing means something.
    so_store::instance::set(&mut tx, "fact", "findable-in-the-clear")
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let mut bytes = Vec::new();
    for file in std::fs::read_dir(db.folder.as_ref().unwrap().path()).unwrap() {
        bytes.extend(std::fs::read(file.unwrap().path()).unwrap());
    }
    let holds = |text: &str| bytes.windows(text.len()).any(|w| w == text.as_bytes());
    assert!(holds("findable-in-the-clear"));
    assert!(!holds(PLAIN));
    assert!(!holds(std::str::from_utf8(&[1; 32]).unwrap()));
}
