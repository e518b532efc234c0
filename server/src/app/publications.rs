//! Publications: what became of a post at each account, and what a person decides about it.
//!
//! Owns the reading and P9, the person's turn. Invariant: a decision goes through the publish protocol;
//! nothing here changes a publication itself.

use so_engine::publish::{HumanDecision, decide_by_hand};
use so_model::{
    api::post::{DecidePublication, PublicationChange, PublicationDecision, PublicationDetail},
    id::{PublicationId, WorkspaceId},
    publication::{Attempt, PublicationState},
};
use so_store::{Sql, attempts, publications, publications::PublicationRow};

use super::{
    App,
    failure::{Failure, Outcome},
    members::Actor,
};

/// Longest address of a post at a network.
const URL_MAX: usize = 2000;

/// A publication with its tries and changes.
pub async fn get(
    app: &App,
    workspace: WorkspaceId,
    id: PublicationId,
) -> Outcome<PublicationDetail> {
    let mut reader = app.reader();
    let row = publications::find_with_content(&mut reader, workspace, id).await?;
    let row = row.ok_or_else(|| Failure::not_found("publication"))?;
    let tries = attempts::list_for_publication(&mut reader, workspace, id).await?;
    detail(&mut reader, row, tries).await
}

/// Everything about a publication whose tries are known.
pub async fn detail(
    sql: &mut dyn Sql,
    row: PublicationRow,
    tries: Vec<Attempt>,
) -> Outcome<PublicationDetail> {
    let log = publications::list_log(sql, row.publication.workspace, row.publication.id).await?;
    let change = |seen: publications::Transition| PublicationChange {
        seq: seen.seq,
        from: seen.from,
        to: seen.to,
        at: seen.at,
        note: seen.note,
    };
    Ok(PublicationDetail {
        publication: row.publication,
        content: row.content,
        run: row.run_id,
        tries,
        log: log.into_iter().map(change).collect(),
    })
}

/// A person says what nobody else can tell.
pub async fn decide(
    app: &App,
    actor: Actor,
    id: PublicationId,
    request: &DecidePublication,
) -> Outcome<PublicationDetail> {
    let decision = match request.decision {
        PublicationDecision::IsLive => HumanDecision::IsLive {
            url: check_url(request.url.as_deref())?,
        },
        _ if request.url.is_some() => {
            return Err(Failure::field(
                "/url",
                "has no meaning here",
                "an address only with the decision is_live",
            ));
        }
        PublicationDecision::NotLive => HumanDecision::NotLive,
        PublicationDecision::Drop => HumanDecision::Drop,
    };
    settle(
        app,
        actor,
        id,
        decision,
        &[PublicationState::NeedsReview, PublicationState::Failed],
    )
    .await
}

/// Tries a failed publication again, with the content it was made of.
pub async fn retry(app: &App, actor: Actor, id: PublicationId) -> Outcome<PublicationDetail> {
    settle(
        app,
        actor,
        id,
        HumanDecision::NotLive,
        &[PublicationState::Failed],
    )
    .await
}

async fn settle(
    app: &App,
    actor: Actor,
    id: PublicationId,
    decision: HumanDecision,
    from: &[PublicationState],
) -> Outcome<PublicationDetail> {
    let found = publications::find(&mut app.reader(), actor.workspace, id).await?;
    let state = found
        .ok_or_else(|| Failure::not_found("publication"))?
        .state;
    if !from.contains(&state)
        || !decide_by_hand(&app.engine, actor.workspace, id, decision, actor.user).await?
    {
        return Err(not_yours(state));
    }
    get(app, actor.workspace, id).await
}

fn not_yours(state: PublicationState) -> Failure {
    let next_step = match state {
        PublicationState::Published => "It is live; delete it at the network if it should not be.",
        PublicationState::Cancelled => {
            "It was dropped. Duplicate the post to publish it after all."
        }
        PublicationState::NeedsReview => "Look whether it is live at the network, then decide.",
        PublicationState::Held => {
            "Connect the account again or resume it; then it goes on by itself."
        }
        _ => "Wait for its outcome; the engine is at it.",
    };
    Failure::new(409, "publication.wrong_state", "This cannot be decided now")
        .detail(format!(
            "The publication is {}.",
            state.as_str().replace('_', " ")
        ))
        .next_step(next_step)
}

fn check_url(url: Option<&str>) -> Outcome<Option<String>> {
    let Some(url) = url.map(str::trim).filter(|url| !url.is_empty()) else {
        return Ok(None);
    };
    // Shown as a link: anything but the web would run in the page.
    let is_web = url::Url::parse(url)
        .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    if is_web && url.len() <= URL_MAX {
        return Ok(Some(url.to_string()));
    }
    Err(Failure::field(
        "/url",
        "is no address of a post",
        format!("https://…, at most {URL_MAX} bytes"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_the_web_become_links() {
        assert_eq!(
            check_url(Some(" https://m.example/@a/1 "))
                .unwrap()
                .as_deref(),
            Some("https://m.example/@a/1")
        );
        assert_eq!(check_url(Some("  ")).unwrap(), None);
        for bad in [
            "javascript:alert(1)",
            "data:text/html,x",
            "m.example/1",
            "https://",
        ] {
            assert!(check_url(Some(bad)).is_err(), "{bad}");
        }
    }
}
