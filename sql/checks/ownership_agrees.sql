-- Every wallet has one row of ownership, with the status that its balances show.
with balances as (
    select distinct
        chain,
        address,
        ownership_status
    from wallet_balances
),

statements as (
    select
        chain,
        address,
        status
    from address_ownership
)

select
    coalesce(balances.chain, statements.chain) as chain,
    coalesce(balances.address, statements.address) as address,
    balances.ownership_status,
    statements.status
from balances
full outer join statements
    on
        balances.chain = statements.chain
        and balances.address = statements.address
where balances.ownership_status is distinct from statements.status
