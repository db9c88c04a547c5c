-- What the reserves do not show, as rows of coverage.
with balances as (
    select * from inputs.wallet_balances
),

blocks as (
    select * from inputs.snapshot_blocks
),

offsets as (
    select * from inputs.offset_balances
),

moments as (
    select * from moments
),

prices as (
    select * from inputs.prices
),

ratios as (
    select * from reserve_ratios
),

unproven_addresses as (
    select distinct
        chain,
        address
    from balances
    where ownership_status = 'none'
),

unproven_wallets as (
    select
        'wallets_without_ownership_proof' as item,
        'ownership' as area,
        'warning' as severity,
        count(*) as count,
        'Wallets without a proof that the entity controls them.' as description
    from unproven_addresses
    having count(*) > 0
),

static_wallets as (
    select
        'static_ownership:' || chain as item,
        'ownership' as area,
        'warning' as severity,
        count(distinct address) as count,
        'Wallets of ' || chain || ' signed for with a constant text: somebody had their keys once, which says nothing of today.'
            as description
    from balances
    where ownership_status = 'static'
    group by chain
),

encumbered_wallets as (
    select
        'encumbered:' || asset as item,
        'reserves' as area,
        'warning' as severity,
        count(*) as count,
        'Wallets that are pledged or locked hold ' || whole_units(exact_sum(amount), any_value(decimals)) || ' ' || asset
        || '; they count in the reserves and not in the unencumbered ratio.' as description
    from balances
    where encumbrance <> 'none' and amount > 0
    group by asset
),

third_party_wallets as (
    select
        'third_party_custody:' || asset as item,
        'reserves' as area,
        'warning' as severity,
        count(*) as count,
        'Wallets kept by a third party hold ' || whole_units(exact_sum(amount), any_value(decimals)) || ' ' || asset
        || '; that the third party would hand them out is not checked.' as description
    from balances
    where custody = 'third_party' and amount > 0
    group by asset
),

staked_wallets as (
    select
        'staked:' || asset as item,
        'reserves' as area,
        'info' as severity,
        count(*) as count,
        'Staked wallets hold ' || whole_units(exact_sum(amount), any_value(decimals)) || ' ' || asset
        || '; staked amounts can take time to withdraw and can be slashed.' as description
    from balances
    where custody = 'staked' and amount > 0
    group by asset
),

assets_without_wallets as (
    select
        'no_wallets:' || ratios.asset as item,
        'reserves' as area,
        'warning' as severity,
        0 as count,
        'The registry lists no wallet of ' || ratios.asset || ', so its reserves are zero.' as description
    from ratios
    anti join balances on ratios.asset = balances.asset
),

single_source_chains as (
    select
        'single_source:' || chain as item,
        'sources' as area,
        'warning' as severity,
        sources_asked as count,
        'The balances of ' || chain || ' rest on one source, with no second one to compare.' as description
    from blocks
    where sources_asked < 2
),

distant_blocks as (
    select
        'block_distance:' || chain as item,
        'reserves' as area,
        'info' as severity,
        distance_seconds as count,
        'Seconds between the snapshot block of ' || chain || ' and the attested moment; what moved in between is not seen.'
            as description
    from blocks
    where distance_seconds > 0
),

live_reads as (
    select
        'read_live:' || balances.chain as item,
        'reserves' as area,
        'warning' as severity,
        max(date_diff('second', moments.as_of, balances.read_time)) as count,
        balances.chain || ' cannot be asked about the past: its balances were read up to so many seconds after the moment.'
            as description
    from balances
    cross join moments
    where balances.read_time is not null
    group by balances.chain
),

chains_without_offsets as (
    select
        'not_read_around:' || blocks.chain as item,
        'reserves' as area,
        'info' as severity,
        null::bigint as count,
        'The balances of ' || blocks.chain || ' were read at the snapshot only; one that was there just for it would not show.'
            as description
    from blocks
    anti join offsets on blocks.chain = offsets.chain
),

single_source_prices as (
    select
        'single_price_source:' || asset as item,
        'prices' as area,
        'info' as severity,
        sources_agreed as count,
        'The price of ' || asset || ' rests on one source, with no second one to compare.' as description
    from prices
    where sources_agreed < 2
)

select * from unproven_wallets
union all
select * from static_wallets
union all
select * from encumbered_wallets
union all
select * from third_party_wallets
union all
select * from staked_wallets
union all
select * from assets_without_wallets
union all
select * from single_source_chains
union all
select * from distant_blocks
union all
select * from single_source_prices
union all
select * from live_reads
union all
select * from chains_without_offsets
