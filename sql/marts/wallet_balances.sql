with moments as (
    select * from moments
),

balances as (
    select * from inputs.wallet_balances
)

select
    moments.as_of,
    balances.chain,
    balances.address,
    balances.asset,
    balances.decimals,
    balances.amount,
    balances.block_height,
    balances.block_hash,
    balances.block_time,
    balances.sources_asked,
    balances.sources_agreed,
    balances.custody,
    balances.encumbrance,
    balances.ownership_status,
    balances.evidence,
    balances.read_height,
    balances.read_time
from balances
cross join moments
