/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The hand-off (design: handoff.md) for one guest with VFS VFs, explored completely by spin. Names of states are those of
 * include/vferry/phase.h; tests/model/run compares them.
 *
 * What may happen anywhere, as often as the budgets below say: an engine dies between any two steps, with a mode change still on its way to
 * the device or not; the connection breaks and loses what was on it; a device refuses; an owner resets (its keeper died, or an FLR): its copies are gone and its
 * epoch is another. Two attempts to recover, themselves mortal, run at any time on either side; they may ask the wrong host. Somebody sets modes
 * by hand wherever nothing forbids it. At the end an operator recovers both sides in peace, and exactly one side must be Active.
 *
 * The destination's VF is found Active and blank, and given back so. What a recovery learns from a device is its mode, nothing else.
 * With several VFs (--together) one journal decides for all of them.
 * A mutation, -DMUT_name, leaves one rule out; the checker has to find each.
 */
#ifndef VFS
#define VFS 1
#endif
#ifndef DEATHS
#define DEATHS 2	/* of engines and of attempts to recover */
#endif
#ifndef CUTS
#define CUTS 1
#endif
#ifndef REFUSALS
#define REFUSALS 1
#endif
#ifndef RESETS
#define RESETS 1
#endif
#ifndef RECOVERIES
#define RECOVERIES 2
#endif

mtype = { mode_active, mode_stop, mode_freeze };				    /* modes */
mtype = { NONE, PRECOPY, STOPPED, FROZEN, RELEASED, GONE };	    /* source */
mtype = { LOADING, LOADED, COMMITTED, GRANTED, ACTIVE, REFUSED };   /* destination */
mtype = { m_offer, m_accept, m_refuse, m_context, m_staged, m_end, m_loaded, m_release, m_active, m_refused, m_done, m_state, m_abort };
mtype = { idle, to_active, to_stop, said_ok, said_no };		    /* a mode change and its answer */

#if VFS > 1
#define SET(array, value) array[0] = value; array[1] = value
#else
#define SET(array, value) array[0] = value
#endif

/* devices */
mtype s_mode[VFS], d_mode[VFS];
bool s_ctx[VFS];	/* the source's device holds the guest's context */
bool d_staged[VFS];	/* the destination's device has something of it staged */
bool d_whole[VFS];	/* ... all of it: the last image, too */
bool d_ctx[VFS];	/* ... committed: its own */
bool d_used[VFS];	/* another guest uses the destination's VF */
bool read_clears;	/* a device that cannot give again what was read */
bool was_read;		/* it was read in Freeze: gone from such a device */
bool kept;		/* the source still has every chunk */
bool s_old;		/* the source's context is an old copy: it lives at the destination */
bool s_tomb;		/* what is remembered of that when the journal is settled */
bool peace;		/* the operator at the end asks the right host */
mtype s_cmd[VFS], d_cmd[VFS];	/* mode changes on their way; outlive the engine that sent them */

/* journals: the state, and in it the epoch as it was when the loan began; the owners' epochs now */
mtype s_journal = NONE, d_journal = NONE;
bit s_j_epoch, d_j_epoch, s_epoch, d_epoch;

/* who has the VFs on loan: at most one at a time a side */
bool s_loan = true, d_loan;
bool s_engine = true, d_engine = true;	/* the engines live */

bool linked = true;
chan to_d = [3] of { mtype };
chan to_s = [3] of { mtype };

byte deaths = DEATHS, cuts = CUTS, refusals = REFUSALS, resets = RESETS;
bool refused_once;	/* REFUSED was journalled: never ACTIVE after it */

#define S_LIVES(n) (s_ctx[n] && s_mode[n] == mode_active)
/* Committed and not Active, with nothing that forbids it to serve, is as bad as Active. */
#define D_LIVES(n) (d_ctx[n] && (d_mode[n] == mode_active || d_journal == REFUSED))

#ifdef MUT_no_epoch
#define S_OTHER_EPOCH false
#define D_OTHER_EPOCH false
#else
#define S_OTHER_EPOCH (s_j_epoch != s_epoch)
#define D_OTHER_EPOCH (d_j_epoch != d_epoch)
#endif
#if VFS > 1
#define D_ALL_HERE (d_ctx[0] && d_ctx[1])
#else
#define D_ALL_HERE (d_ctx[0])
#endif

inline check()
{
	assert(!(S_LIVES(0) && D_LIVES(0)));
#if VFS > 1
	assert(!(S_LIVES(1) && D_LIVES(1)));
	/* No guest is left half moved: not one VF here and one there. */
	assert(!(S_LIVES(0) && D_LIVES(1)) && !(S_LIVES(1) && D_LIVES(0)));
	/* Nor does one VF work while the other's device may still say that it cannot take the context. */
	assert(!(d_ctx[0] && d_mode[0] == mode_active && !d_ctx[1]));
	assert(!(d_ctx[1] && d_mode[1] == mode_active && !d_ctx[0]));
#endif
}

inline journal_s(state)
{
	s_journal = state
}

inline journal_d(state)
{
	assert(!(refused_once && state == ACTIVE));
	assert(state != ACTIVE || D_OTHER_EPOCH || D_ALL_HERE);	/* else a blank device is taken for the guest's */
	d_journal = state;
	if
	:: state == REFUSED -> refused_once = true
	:: else
	fi;
	check()
}

/* Leaving Freeze commits what is staged; half a context would be a guest's end. */
#define COMMIT(n) if :: d_mode[n] == mode_freeze && d_staged[n] -> assert(d_whole[n]); d_ctx[n] = true; d_staged[n] = false :: else fi

/* --- the devices execute mode changes when they please --- */
active proctype Devices()
{
end:
	do
	:: d_step { s_cmd[0] == to_active -> s_cmd[0] = said_ok; s_mode[0] = mode_active; assert(s_ctx[0]); check() }
	:: d_step { d_cmd[0] == to_active -> d_cmd[0] = said_ok;
		    COMMIT(0);
		    d_mode[0] = mode_active; check() }
	:: d_step { d_cmd[0] == to_stop -> d_cmd[0] = said_ok;
		    COMMIT(0);
		    d_mode[0] = mode_stop; check() }
	:: d_step { (d_cmd[0] == to_active || d_cmd[0] == to_stop) && refusals > 0 -> refusals--; d_cmd[0] = said_no }
#if VFS > 1
	:: d_step { s_cmd[1] == to_active -> s_cmd[1] = said_ok; s_mode[1] = mode_active; assert(s_ctx[1]); check() }
	:: d_step { d_cmd[1] == to_active -> d_cmd[1] = said_ok;
		    COMMIT(1);
		    d_mode[1] = mode_active; check() }
	:: d_step { d_cmd[1] == to_stop -> d_cmd[1] = said_ok;
		    COMMIT(1);
		    d_mode[1] = mode_stop; check() }
	:: d_step { (d_cmd[1] == to_active || d_cmd[1] == to_stop) && refusals > 0 -> refusals--; d_cmd[1] = said_no }
#endif
	od
}

#define BUSY(cmd) (cmd == to_active || cmd == to_stop)
#if VFS > 1
#define D_BUSY (BUSY(d_cmd[0]) || BUSY(d_cmd[1]))
#define S_BUSY (BUSY(s_cmd[0]) || BUSY(s_cmd[1]))
#else
#define D_BUSY BUSY(d_cmd[0])
#define S_BUSY BUSY(s_cmd[0])
#endif

/* Modes are set by hand only where no journal is open and no tombstone stands. */
#ifdef MUT_mode_changes_allowed
#define HANDS_ON (!s_tomb)
#else
#define HANDS_ON (s_journal == NONE && !s_tomb)
#endif

/* The source knows that its copy is an old one; when the journal goes, the tombstone stays, until the device is reset. */
inline gone()
{
	d_step { journal_s(GONE); s_old = true; kept = false }
}

#ifdef MUT_tombstone_left_out
#define TOMB false
#else
#define TOMB (s_journal == GONE && s_ctx[0])
#endif
inline settle_s()
{
	d_step { s_tomb = TOMB; journal_s(NONE) }
}

/* --- the world --- */
proctype World()
{
end:
	do
	:: d_step { linked && cuts > 0 -> cuts--; linked = false;
		    do :: nempty(to_d) -> to_d ? _ :: empty(to_d) -> break od;
		    do :: nempty(to_s) -> to_s ? _ :: empty(to_s) -> break od }
	/* What was on its way may also arrive before the end of the connection is noticed. */
	:: d_step { linked && cuts > 0 -> cuts--; linked = false }
	:: d_step { resets > 0 -> resets--; s_epoch = 1 - s_epoch;
		    SET(s_ctx, false); SET(s_mode, mode_active); SET(s_cmd, idle); s_tomb = false }
	:: d_step { resets > 0 -> resets--; d_epoch = 1 - d_epoch;
		    SET(d_ctx, false); SET(d_staged, false); SET(d_mode, mode_active); SET(d_cmd, idle) }
	/* An operator sets a mode by hand: with neither journal nor tombstone nobody hinders him. */
	:: d_step { !s_loan && HANDS_ON && s_ctx[0] && s_mode[0] == mode_freeze -> s_mode[0] = mode_active; check() }
	:: !s_engine && !d_engine -> break
	od
}

/* Every process has a label "dead". */
#define MAY_DIE if :: d_step { deaths > 0 -> deaths-- } goto dead :: skip fi
#define SEND(channel, m) atomic { if :: linked -> channel ! m :: !linked fi }

/*
 * The source takes back, in Freeze or Stop, with the loan.
 * The context of a device whose READ clears comes from what was kept.
 */
inline take_back()
{
	if
	:: S_OTHER_EPOCH -> journal_s(NONE); goto dead	/* this side's copy is gone */
	:: else
	fi;
	if
	:: was_read && read_clears -> assert(kept)
	:: else
	fi;
	d_step {
		if :: s_mode[0] != mode_active -> s_cmd[0] = to_active :: else fi;
#if VFS > 1
		if :: s_mode[1] != mode_active -> s_cmd[1] = to_active :: else fi
#endif
	}
	MAY_DIE;
	if
	:: !S_BUSY
	:: S_OTHER_EPOCH
	fi;
	MAY_DIE;
	journal_s(NONE)
}

proctype Source()
{
	SEND(to_d, m_offer);
#ifndef MUT_no_journal_before_released
	journal_s(PRECOPY);
#endif
	MAY_DIE;
	if
	:: to_s ? m_accept
	:: to_s ? m_refuse -> journal_s(NONE); goto over
	:: !linked && empty(to_s) -> goto back
	:: goto abort			/* a signal, a deadline */
	fi;
	SEND(to_d, m_context);		/* pre-copy */
	MAY_DIE;
	if
	:: to_s ? m_staged
	:: to_s ? m_refuse -> goto back
	:: !linked && empty(to_s) -> goto back
	:: goto abort
	fi;
	MAY_DIE;
	if
	:: S_OTHER_EPOCH -> goto back
	:: else -> d_step { SET(s_mode, mode_stop) }
	fi;
	MAY_DIE;
#ifndef MUT_no_journal_before_released
	journal_s(STOPPED);
#endif
	MAY_DIE;
	if
	:: S_OTHER_EPOCH -> goto back
	:: else -> d_step { SET(s_mode, mode_freeze) }
	fi;
	MAY_DIE;
#ifndef MUT_no_journal_before_released
	journal_s(FROZEN);
#endif
	was_read = true; kept = true;
#ifndef MUT_staged_is_loaded
	SEND(to_d, m_end);		/* the last image */
	MAY_DIE;
	if
	:: to_s ? m_loaded
	:: to_s ? m_refuse -> goto back
	:: !linked && empty(to_s) -> goto back
	:: goto abort
	fi;
#endif
#ifdef MUT_chunks_dropped_at_loaded
	kept = false;
#endif
	MAY_DIE;
	if
	:: S_OTHER_EPOCH -> goto back
	:: else
	fi;
#ifdef MUT_release_before_journal
	SEND(to_d, m_release);
	MAY_DIE;
	journal_s(RELEASED);
#else
	journal_s(RELEASED);
	MAY_DIE;
	SEND(to_d, m_release);
#endif
	MAY_DIE;
	if
	:: to_s ? m_active
	:: to_s ? m_refused -> goto back
	:: !linked && empty(to_s) -> goto dead	/* in doubt: exit 7, the journal stays */
#ifdef MUT_signal_after_released
	:: goto abort
#endif
	fi;
	MAY_DIE;
#ifdef MUT_done_before_gone
	SEND(to_d, m_done);
	MAY_DIE;
	gone();
#else
	gone();
	MAY_DIE;
	SEND(to_d, m_done);
#endif
	MAY_DIE;
#ifndef MUT_journal_gone_unheard
	if
	:: to_s ? m_state
	:: !linked && empty(to_s) -> goto dead	/* the journal stays, and says GONE when it is asked about */
	fi;
#endif
	settle_s();
	goto over;
abort:
	SEND(to_d, m_abort);
back:
	take_back();
over:
dead:
	skip;
	d_step { s_loan = false; s_engine = false; linked = false }
}

#if VFS > 1
#ifdef MUT_one_vf_released_alone
#define ALL_WHOLE d_whole[0] = true; d_staged[1] = false	/* the other one's last image has not come */
#else
#define ALL_WHOLE SET(d_whole, true)
#endif
#else
#define ALL_WHOLE SET(d_whole, true)
#endif

/* The destination drops what it has; never undoes a commit, except by FLR. */
inline discard()
{
	d_step { SET(d_staged, false); SET(d_whole, false) }
}

/* As it was found, which is Active and blank: one command for each VF, which outlives whoever sent it. */
inline give_back()
{
	discard();
	MAY_DIE;
	if
	:: D_OTHER_EPOCH
	:: else -> d_step { SET(d_cmd, to_active) }; if :: !D_BUSY fi
	fi
}

inline flr()
{
	d_step { SET(d_ctx, false); SET(d_mode, mode_freeze) }
}

/* All VFs to mode @op (one command each), then wait for the answers. */
inline all_to(op)
{
	d_step { SET(d_cmd, op) }
	MAY_DIE;
	if
	:: !D_BUSY
	fi
}

#if VFS > 1
#define D_SAID_NO (d_cmd[0] == said_no || d_cmd[1] == said_no)
#define D_ALL_ACTIVE (d_mode[0] == mode_active && d_mode[1] == mode_active)
#else
#define D_SAID_NO (d_cmd[0] == said_no)
#define D_ALL_ACTIVE (d_mode[0] == mode_active)
#endif

proctype Destination()
{
	atomic { !d_loan -> d_loan = true; d_j_epoch = d_epoch }
	if
	:: to_d ? m_offer
	:: !linked && empty(to_d) -> goto dead
	fi;
#ifndef MUT_unused_check_left_out
	if
	:: d_used[0] -> SEND(to_s, m_refuse); goto dead
	:: else
	fi;
#endif
	assert(!d_used[0]);	/* else another guest's device is frozen and overwritten */
	journal_d(LOADING);
	MAY_DIE;
	d_step { SET(d_mode, mode_freeze) }
	SEND(to_s, m_accept);
	MAY_DIE;
	if
	:: to_d ? m_context
	:: to_d ? m_abort -> goto refuse
	:: !linked && empty(to_d) -> goto refuse
	fi;
	if
	:: d_journal != LOADING || D_OTHER_EPOCH -> goto refuse
	:: else -> d_step { SET(d_staged, true) }
	fi;
	SEND(to_s, m_staged);
	MAY_DIE;
	if
	:: to_d ? m_end
#ifdef MUT_staged_is_loaded
	:: to_d ? m_release -> journal_d(LOADED); goto release
#endif
	:: to_d ? m_abort -> goto refuse
	:: !linked && empty(to_d) -> goto refuse
	fi;
	if
	:: D_OTHER_EPOCH -> goto refuse
	:: else -> d_step { ALL_WHOLE }
	fi;
	MAY_DIE;
	d_step { if :: d_journal == LOADING -> journal_d(LOADED) :: else fi }
	MAY_DIE;
	SEND(to_s, m_loaded);
	if
	:: to_d ? m_release
	:: to_d ? m_abort -> goto refuse
	:: !linked && empty(to_d) -> goto refuse
	fi;
#ifdef MUT_staged_is_loaded
release:
#endif
	MAY_DIE;
#ifdef MUT_active_without_granted
	if
	:: d_journal != LOADED || D_OTHER_EPOCH -> goto refuse
	:: else
	fi;
#else
	/* The journal is looked at and written under one loan: a QUERY may have refused meanwhile. */
	d_step {
		if
		:: d_journal == LOADED && !D_OTHER_EPOCH -> journal_d(GRANTED)
		:: else
		fi
	}
	if
	:: d_journal != GRANTED -> goto refuse
	:: else
	fi;
#endif
	MAY_DIE;
#if (VFS > 1 && !defined(MUT_committed_left_out)) || defined(MUT_activation_in_two_steps)
	all_to(to_stop);
	MAY_DIE;
	if
	:: D_SAID_NO || D_OTHER_EPOCH -> flr(); goto refuse
	:: else
	fi;
#ifndef MUT_activation_in_two_steps
	journal_d(COMMITTED);
	MAY_DIE;
#endif
#endif
	all_to(to_active);
	MAY_DIE;
	if
	:: D_SAID_NO || D_OTHER_EPOCH ->
#if VFS > 1
		flr();
#endif
		goto refuse
	:: else
	fi;
	journal_d(ACTIVE);
	MAY_DIE;
	SEND(to_s, m_active);
	if
	:: to_d ? m_done -> journal_d(NONE); SEND(to_s, m_state)
	:: !linked && empty(to_d)
	fi;
	goto dead;
refuse:
	skip;
#ifdef MUT_blank_before_refused
	give_back();
	MAY_DIE;
	journal_d(REFUSED);
#else
	journal_d(REFUSED);
	MAY_DIE;
	give_back();
#endif
	MAY_DIE;
	SEND(to_s, m_refused);
	/* An id that nobody knows is as good as refused: it is, when it is asked for. */
	d_step { if :: linked && d_journal == REFUSED -> journal_d(NONE) :: else fi }
dead:
	skip;
	d_step { d_loan = false; d_engine = false; linked = false }
}

#ifdef MUT_recovery_without_the_loan
#define D_RESTS true
#else
#define D_RESTS !D_BUSY	/* the keeper has brought the dead engine's queue to rest */
#endif

inline refuse_d()
{
#if VFS > 1
	/* Some may be committed or even Active: back to blank, all of them. */
	if :: d_journal == GRANTED || d_journal == COMMITTED -> flr() :: else fi;
#endif
#ifdef MUT_blank_before_refused
	if :: !D_OTHER_EPOCH -> give_back() :: D_OTHER_EPOCH fi;
	MAY_DIE;
	journal_d(REFUSED);
#else
	journal_d(REFUSED);
	MAY_DIE;
	if :: !D_OTHER_EPOCH -> give_back() :: D_OTHER_EPOCH fi;
	MAY_DIE;
#endif
	journal_d(NONE)
}

inline recover_d()
{
	atomic { !d_loan && D_RESTS -> d_loan = true }
	if
	:: d_journal == NONE || d_journal == ACTIVE
	:: d_journal == LOADING || d_journal == LOADED || d_journal == REFUSED -> refuse_d()
	:: d_journal == GRANTED || d_journal == COMMITTED ->
		if
		:: !D_OTHER_EPOCH && D_ALL_ACTIVE -> journal_d(ACTIVE)
		:: D_OTHER_EPOCH || !D_ALL_ACTIVE -> MAY_DIE; refuse_d()
		fi
	fi;
	d_loan = false
}

/*
 * What a listening recv answers; LOADING, LOADED and unknown are refused on the spot, which is written down before it is said. Another
 * host than the one that accepted has never heard of the migration, and says that it is not the one.
 */
inline query(answer)
{
	if
	:: d_step {
		if
		:: d_journal == LOADING || d_journal == LOADED || d_journal == NONE -> journal_d(REFUSED)
		:: else
		fi;
		answer = d_journal
	}
	:: !peace ->
#ifdef MUT_wrong_host_answers
		answer = REFUSED
#else
		answer = NONE
#endif
	fi
}

inline recover_s(answer)
{
	atomic { !s_loan && !S_BUSY -> s_loan = true }
	answer = NONE;
	if
	:: s_journal == NONE
	:: s_journal == GONE ->
		/* So that the destination can settle its journal; ours goes last. */
		d_step { if :: d_journal == ACTIVE -> journal_d(NONE) :: else fi };
		MAY_DIE;
		settle_s()
	:: s_journal == PRECOPY || s_journal == STOPPED || s_journal == FROZEN -> take_back()
	:: s_journal == RELEASED ->
		query(answer);
		MAY_DIE;
		if
		:: answer == ACTIVE -> gone()
		:: answer == REFUSED -> take_back()
		:: else			/* GRANTED, its engine dead: recover there first */
		fi
	fi;
	s_loan = false
}

#define NOT_LOST(n) ((s_ctx[n] && !s_old) || d_ctx[n])

proctype RecoverS()
{
	mtype answer;
	recover_s(answer);
	goto out;
dead:
	s_loan = false;
out:
	skip
}

proctype RecoverD()
{
	recover_d();
	goto out;
dead:
	d_loan = false;
out:
	skip
}

/* Attempts to recover, at any time, on either side. */
proctype Operator()
{
	byte n = 0;
	byte before;
	do
	:: n < RECOVERIES -> n++; before = _nr_pr; run RecoverS(); _nr_pr == before
	:: n < RECOVERIES -> n++; before = _nr_pr; run RecoverD(); _nr_pr == before
	:: break
	od
}

init
{
	mtype answer;

	d_step {
		SET(s_mode, mode_active); SET(d_mode, mode_active); SET(s_ctx, true); SET(s_cmd, idle); SET(d_cmd, idle)
	}
	if
	:: read_clears = true
	:: skip
	fi;
	if
	:: d_used[0] = true
	:: skip
	fi;
	atomic { run World(); run Source(); run Destination(); run Operator() }
	/* Everybody has ended or died, no attempt to recover is left, and nothing more goes wrong. */
	!s_engine && !d_engine && !s_loan && !d_loan && !S_BUSY && !D_BUSY && _nr_pr <= 2 ->
	deaths = 0; refusals = 0; peace = true;
	recover_d();
	recover_s(answer);
	recover_d();
	recover_s(answer);
dead:
	check();
	d_step {
		/* As long as a device with the context lives, exactly one side is Active. */
		assert(!(NOT_LOST(0)) || S_LIVES(0) != D_LIVES(0));
		assert(!(d_ctx[0] && d_mode[0] != mode_active));
#if VFS > 1
		assert(!(NOT_LOST(1)) || S_LIVES(1) != D_LIVES(1));
		assert(!(d_ctx[1] && d_mode[1] != mode_active));
#endif
		/* And every journal comes to its end, unless a reset took from one side what it would tell the other. */
		assert(resets < RESETS || (s_journal == NONE && (d_journal == NONE || d_journal == REFUSED)))
	}
}
