//! `rules pull`: the server's rules, written into a folder.
//!
//! Owns which file a rule goes into. Invariant: a file that was not made of the rule is never written over, unless
//! that is asked for, and no rule gets a second file.

use std::collections::BTreeSet;

use anyhow::Context as _;
use so_model::api::rule::RuleDetail;

use super::{
    super::{
        folder::{self, cases_path, format_of, slug},
        outcome::Answer,
    },
    Both, Difference, Locked, Moved, Page, Synced, difference, name_of,
};

/// `rules pull`.
pub(in super::super) async fn pull(asked: &Synced) -> Answer {
    let mut both = Both::open(asked).await?;
    let (told, is_clean) = both.pull(asked.force, asked.prune)?;
    super::super::super::print(&told)?;
    Ok(is_clean)
}

impl Both {
    /// Writes what differs; tells what was done, and whether everything could be.
    pub(super) fn pull(&mut self, force: bool, prune: bool) -> anyhow::Result<(String, bool)> {
        std::fs::create_dir_all(&self.folder)
            .with_context(|| format!("could not make {}", self.folder.display()))?;
        let (mut told, mut is_clean) = (String::new(), true);
        let mut taken = BTreeSet::new();
        let (line, is_done) = self.pull_modules(force, prune)?;
        told.push_str(&line);
        is_clean &= is_done;
        let rules: Vec<RuleDetail> = self.rules.values().cloned().collect();
        for detail in &rules {
            let file = self.file_for(detail, &taken);
            taken.insert(file.clone());
            let (line, is_done) = self.take(&file, detail, force)?;
            told.push_str(&line);
            is_clean &= is_done;
        }
        let gone: Vec<(String, Locked)> = self
            .lock
            .rules
            .iter()
            .filter(|(file, locked)| !self.rules.contains_key(&locked.id) && !taken.contains(*file))
            .map(|(file, locked)| (file.clone(), locked.clone()))
            .collect();
        for (file, locked) in gone {
            let (line, is_done) = self.lose(&file, &locked, force, prune)?;
            told.push_str(&line);
            is_clean &= is_done;
        }
        self.write_lock()?;
        Ok((told, is_clean))
    }

    /// Brings one rule into its file.
    fn take(
        &mut self,
        file: &str,
        detail: &RuleDetail,
        force: bool,
    ) -> anyhow::Result<(String, bool)> {
        let path = self.folder.join(file);
        let local = self.local.get(file);
        if let Some(local) = local {
            if difference(local, detail) == Difference::Nothing {
                let mine = Page::local(local);
                self.note(file, detail, &mine);
                return Ok((String::new(), true));
            }
            let known = self.lock.rules.get(file);
            let known = known.filter(|locked| locked.id == detail.rule.id);
            let is_moved = known.is_none_or(|locked| Moved::of(locked, detail, local).is_any());
            // An edit of the folder's own stays.
            if !force && is_moved {
                let line = match known {
                    Some(_) => "differs from the server, which changed as well",
                    None => "says otherwise than the server's rule of this name",
                };
                return Ok((
                    format!("! {file}: {line}; --force overwrites the file\n"),
                    false,
                ));
            }
            if !force {
                return Ok((format!("= {file}: changed here, kept\n"), true));
            }
        } else if path.symlink_metadata().is_ok() && !force {
            let line = "something else stands there now; --force overwrites it";
            return Ok((format!("! {file}: {line}\n"), false));
        }
        let page = Page::remote(detail, format_of(&path), local);
        page.write(&path)?;
        self.note(file, detail, &page);
        // After each one, so that a pull that ends early is remembered as far as it came.
        self.write_lock()?;
        let (name, version) = (&detail.rule.name, detail.rule.version);
        Ok((format!("< {file}: {name} (version {version})\n"), true))
    }

    /// Lets go of a file whose rule the server does not have any more.
    fn lose(
        &mut self,
        file: &str,
        locked: &Locked,
        force: bool,
        prune: bool,
    ) -> anyhow::Result<(String, bool)> {
        let mut line = "the server does not have it any more".to_owned();
        if let Some(local) = self.local.get(file).filter(|_| prune) {
            if !force && Page::local(local).digest() != locked.digest {
                line.push_str(", and it was changed here; --force deletes the file");
                return Ok((format!("! {file}: {line}\n"), false));
            }
            let path = self.folder.join(file);
            folder::remove(&path)?;
            let beside = cases_path(&path);
            // Two files that differ in their extensions have the same cases.
            let mut others = self.local.keys().filter(|other| *other != file);
            if !others.any(|other| cases_path(&self.folder.join(other)) == beside) {
                folder::remove(&beside)?;
            }
        }
        self.lock.rules.remove(file);
        Ok((format!("- {file}: {line}\n"), true))
    }

    /// The file of a rule: the one it has, else one of its name that is no other rule's, else a new one.
    pub(super) fn file_for(&self, detail: &RuleDetail, taken: &BTreeSet<String>) -> String {
        if let Some(known) = self.lock.file_of(detail.rule.id) {
            return known.to_owned();
        }
        let is_spare = |file: &String| {
            let locked = self.lock.rules.get(file);
            !taken.contains(file) && locked.is_none_or(|one| !self.rules.contains_key(&one.id))
        };
        let name = &detail.rule.name;
        let same_name = self
            .local
            .iter()
            .find(|(file, local)| is_spare(file) && name_of(local).as_ref() == Some(name));
        match same_name {
            Some((file, _)) => file.clone(),
            None => self.free_name(name, taken),
        }
    }

    /// A new file's name, which nothing else has.
    fn free_name(&self, name: &str, taken: &BTreeSet<String>) -> String {
        let slug = slug(name);
        let numbered = (1..).map(|number| match number {
            1 => format!("{slug}.yaml"),
            _ => format!("{slug}-{number}.yaml"),
        });
        let is_free = |name: &String| {
            !self.lock.rules.contains_key(name)
                && !taken.contains(name)
                && folder::is_free(&self.folder, name)
        };
        // Some number is always free.
        numbered.into_iter().find(is_free).unwrap_or_default()
    }
}
