//! `/api/v1/workspaces/{ws}/rules`

mod blueprints;
mod canary;
mod coverage;
mod create;
mod decisions;
mod delete;
mod difference;
mod draft;
mod fill;
mod get;
mod get_version;
mod list;
mod list_versions;
mod put;
mod restore;
mod run;
mod shadow;
mod switch;
mod test;
mod validate;
mod version;
mod ways;
mod why;

use crate::http::Endpoint;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        list::endpoint(),
        create::endpoint(),
        validate::endpoint(),
        get::endpoint(),
        put::endpoint(),
        switch::endpoint(),
        delete::endpoint(),
        run::endpoint(),
        decisions::endpoint(),
        why::endpoint(),
        ways::endpoint(),
        list_versions::endpoint(),
        get_version::endpoint(),
        restore::endpoint(),
        difference::endpoint(),
        test::endpoint(),
        coverage::endpoint(),
        blueprints::endpoint(),
        fill::endpoint(),
    ]
    .into_iter()
    .chain(draft::endpoints())
    .chain(shadow::endpoints())
    .chain(canary::endpoints())
    .collect()
}
