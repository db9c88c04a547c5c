with moments as (
    select * from moments
),

statements as (
    select * from inputs.address_ownership
)

select
    moments.as_of,
    statements.chain,
    statements.address,
    statements.scheme,
    statements.status,
    statements.message,
    statements.signatures,
    statements.script,
    statements.owners,
    statements.signed_at,
    statements.verified_at_block,
    statements.note
from statements
cross join moments
