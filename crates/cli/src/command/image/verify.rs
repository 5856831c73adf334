//! `berth image verify`

use api::Action;
use api::image::VerifyResponse;

use crate::command::{Arity, Command, Context};
use crate::error::{Error, Result};
use crate::flag::{Flag, Matches};

pub(crate) static COMMAND: Command = Command::new(
    "verify",
    "[OPTIONS] IMAGE",
    "Show who signed an image and whether the signature policy accepts it",
    Arity::Exactly(1),
    run,
)
.paths(&["image verify"])
.flags(&[&[Flag::bool("json", "Print it as JSON")]]);

fn run(context: &Context<'_>, matches: &Matches) -> Result<()> {
    let verdict: VerifyResponse = context.client()?.call(Action::ImageVerify, matches.arg(0)).fetch()?;
    if matches.bool("json") {
        let text = serde_json::to_string_pretty(&verdict).map_err(|error| Error::said(error.to_string()))?;
        context.out.line(&text)?;
    } else {
        for line in lines(&verdict) {
            context.out.line(&line)?;
        }
    }
    if verdict.accepted { Ok(()) } else { Err(Error::Exit(1)) }
}

fn lines(verdict: &VerifyResponse) -> Vec<String> {
    let mut lines = vec![format!("Image:     {}", verdict.id)];
    if verdict.policy.is_empty() {
        lines.push("Policy:    none: every image is accepted".into());
        return lines;
    }
    lines.push(format!("Policy:    {}", verdict.policy));
    for name in &verdict.names {
        lines.push(String::new());
        lines.push(format!("Name:      {}", if name.name.is_empty() { "<none>" } else { &name.name }));
        lines.push(format!("Rule:      {}", name.scope));
        lines.push(format!("Required:  {}", name.required.join("; ")));
        for signature in &name.signatures {
            let mut line = format!("Signed by: {}, {}", signature.signer, signature.digest);
            if !signature.signed_name.is_empty() {
                line.push_str(&format!(", as {}", signature.signed_name));
            }
            if !signature.signed_at.is_empty() {
                line.push_str(&format!(", at {}", signature.signed_at));
            }
            lines.push(line);
        }
        lines.push(match name.refusal.as_str() {
            "" => "Verdict:   accepted".into(),
            refusal => format!("Verdict:   refused: {refusal}"),
        });
    }
    lines
}

#[cfg(test)]
mod tests {
    use api::image::{VerifiedName, VerifiedSignature};

    use super::*;

    #[test]
    fn what_is_printed() {
        let signature = VerifiedSignature {
            signer: "key sha256:ab".into(),
            digest: "sha256:cd".into(),
            signed_name: "quay.io/a".into(),
            signed_at: String::new(),
        };
        let name = VerifiedName {
            name: "quay.io/a:1".into(),
            accepted: true,
            scope: "docker \"quay.io\"".into(),
            required: vec!["a signature by key sha256:ab".into()],
            refusal: String::new(),
            signatures: vec![signature],
        };
        let verdict =
            VerifyResponse { id: "sha256:1".into(), policy: "/p".into(), accepted: true, names: vec![name] };
        assert_eq!(
            lines(&verdict).join("\n"),
            "Image:     sha256:1\nPolicy:    /p\n\nName:      quay.io/a:1\nRule:      docker \"quay.io\"\n\
             Required:  a signature by key sha256:ab\nSigned by: key sha256:ab, sha256:cd, as quay.io/a\n\
             Verdict:   accepted"
        );
        let none = VerifyResponse { id: "sha256:1".into(), accepted: true, ..Default::default() };
        assert!(lines(&none).join("\n").ends_with("none: every image is accepted"));
    }
}
