// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/otelcol-pushgateway/pushgatewayreceiver/internal/series"
)

// The schema has a version. A release changes it only by additions, so that the previous release can use it too: replicas
// of both run side by side in a rolling upgrade. Another change raises the compatible version, which is the oldest one that
// can use the schema.
//
// Times are in nanoseconds since the epoch, 0 or null for none. Those of pushes come from the replica, all others from the
// database's clock. Names are bytes, because text cannot hold every valid UTF-8 string. Hashes of series are 8 bytes each,
// big-endian, or a bigint with the same bits. Large values are not compressed: that would cost more than it saves.
const schemaVersion = 1

// migrations lists the statements that lead to each version from the one before.
var migrations = [schemaVersion][]string{{
	// meta has one row. The key makes hashes of series the same in all replicas. Rules is a hash of the rules of the replica that started
	// last: only those that have them end aggregates that other rules made, so that two releases of a configuration do not fight.
	`CREATE TABLE pushgateway_meta (
		version    int   NOT NULL,
		compatible int   NOT NULL,
		key        bytea NOT NULL,
		rules      bytea
	)`,
	// shard is what a claim locks. A group's shard is a hash of its job, so that a series never leaves its shard. Last is the
	// time of the last claim in milliseconds, and next the earliest time of another one, or 1 from the marks of a claim until it is settled.
	`CREATE TABLE pushgateway_shard (
		id   int    PRIMARY KEY,
		last bigint NOT NULL DEFAULT 0,
		next bigint NOT NULL DEFAULT 0
	) WITH (fillfactor = 20)`,
	// counts are the sums of what is held. A change of a group locks one slot, and a claim those with the numbers of its shards. Slots
	// are not shards, so that new groups of a job do not wait for each other.
	`CREATE TABLE pushgateway_counts (
		slot         int    PRIMARY KEY,
		groups       bigint NOT NULL DEFAULT 0,
		series       bigint NOT NULL DEFAULT 0,
		pending      bigint NOT NULL DEFAULT 0,
		size         bigint NOT NULL DEFAULT 0,
		pending_size bigint NOT NULL DEFAULT 0,
		pushers      bigint NOT NULL DEFAULT 0
	) WITH (fillfactor = 20)`,
	// Name orders groups (store.AppendName) and begins with the job; words is the text in which searches look (groupingkey.AppendText).
	// A group is visible (alive), or has only pending markers. Each change raises its version. Families of a version above
	// sent, and those listed in refused, are unsent; so are the push times. Due is when a group is claimed next that is not in
	// the queue, and round when all its values are. Changed is the last change, since the oldest that was not accepted; suspect
	// says that only suspects were not. Exported is the last export of any value. Lives is the start of the time to live, and
	// lives_from is no later. Layout is the sum of its families': see layoutOf.
	//
	// A usual push and its claim change no column of an index, so that the database needs to write no index and can reuse the
	// row's space (heap-only tuples). That is why the queue is a table, and why only an expiry moves lives_from.
	`CREATE TABLE pushgateway_group (
		id             bigint  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
		hash           bytea   NOT NULL UNIQUE,
		path           text    NOT NULL,
		name           bytea   NOT NULL,
		words          bytea   NOT NULL,
		shard          int     NOT NULL,
		alive          boolean NOT NULL DEFAULT false,
		pushed         bigint  NOT NULL DEFAULT 0,
		failed         bigint  NOT NULL DEFAULT 0,
		version        bigint  NOT NULL DEFAULT 0,
		layout         bigint  NOT NULL DEFAULT 0,
		sent           bigint  NOT NULL DEFAULT 0,
		refused        bytea[],
		times_refused  boolean NOT NULL DEFAULT false,
		times_exported boolean NOT NULL DEFAULT false,
		exported       bigint  NOT NULL DEFAULT 0,
		due            bigint,
		round          bigint,
		changed        bigint  NOT NULL DEFAULT 0,
		since          bigint,
		suspect        boolean NOT NULL DEFAULT false,
		lives          bigint,
		lives_from     bigint
	) WITH (fillfactor = 60)`,
	// queue has the changed groups that do not wait for a pause, and since when. Only who has locked a group's row changes its own here.
	`CREATE TABLE pushgateway_queue (
		grp    bigint PRIMARY KEY,
		shard  int    NOT NULL,
		queued bigint NOT NULL
	)`,
	`CREATE INDEX pushgateway_queue_queued ON pushgateway_queue (shard, queued)`,
	// A group is an ordinary one (plain), an aggregate (without is not null), or both. Rule and without are those of the latest
	// contribution, at contributed. Next is the number of the next series; it outlives the aggregate. Pushers are those remembered.
	// Silent is no later than the oldest last push of a series, for the time to live. Claimed is the last claim, and urgent the
	// version of the last change that does not wait for the pause after it. Paced says that due is the end of that pause.
	`ALTER TABLE pushgateway_group
		ADD COLUMN plain       boolean NOT NULL DEFAULT false,
		ADD COLUMN rule        text,
		ADD COLUMN without     text[],
		ADD COLUMN contributed bigint  NOT NULL DEFAULT 0,
		ADD COLUMN next        bigint  NOT NULL DEFAULT 1,
		ADD COLUMN pushers     bigint  NOT NULL DEFAULT 0,
		ADD COLUMN silent      bigint  NOT NULL DEFAULT 0,
		ADD COLUMN claimed     bigint  NOT NULL DEFAULT 0,
		ADD COLUMN urgent      bigint  NOT NULL DEFAULT 0,
		ADD COLUMN paced       boolean NOT NULL DEFAULT false`,
	`CREATE INDEX pushgateway_group_aggregate ON pushgateway_group (id) WHERE without IS NOT NULL`,
	// pusher is a remembered pusher of an aggregate, with its contributions. The hash is that of its path.
	`CREATE TABLE pushgateway_pusher (
		grp     bigint NOT NULL,
		hash    bytea  NOT NULL,
		path    text   NOT NULL,
		pushed  bigint NOT NULL,
		ttl     bigint NOT NULL,
		content bytea  NOT NULL,
		PRIMARY KEY (grp, hash)
	) WITH (fillfactor = 70)`,
	`CREATE INDEX pushgateway_pusher_pushed ON pushgateway_pusher (grp, pushed)`,
	`CREATE INDEX pushgateway_group_due ON pushgateway_group (shard, due) WHERE due IS NOT NULL`,
	`CREATE INDEX pushgateway_group_lives ON pushgateway_group (lives_from) WHERE lives_from IS NOT NULL`,
	// Exported says that a value of the family's series may have been exported. First is the content with exemplars until it
	// is accepted once. A chunk of an aggregate is a row, too. Its name is rowName, its content the state of the chunk, and its size an
	// estimate that depends on the series alone. Extras are what its next export has beside the values: see extra. They are taken
	// away before the export, so that none is repeated after a crash.
	`CREATE TABLE pushgateway_family (
		grp      bigint  NOT NULL,
		name     bytea   NOT NULL,
		type     text    NOT NULL,
		pushed   bigint  NOT NULL,
		version  bigint  NOT NULL,
		exported boolean NOT NULL,
		series   bytea   NOT NULL,
		content  bytea   NOT NULL,
		first    bytea,
		size     bigint,
		layout   bigint  NOT NULL,
		extras   bytea[],
		PRIMARY KEY (grp, name)
	) WITH (fillfactor = 70)`,
	`ALTER TABLE pushgateway_family ALTER series SET STORAGE EXTERNAL, ALTER content SET STORAGE EXTERNAL, ALTER first SET STORAGE EXTERNAL`,
	// A series belongs to one group. Pending is its markers, if it has ended. Taken says that the group took it over.
	`CREATE TABLE pushgateway_series (
		hash    bigint  PRIMARY KEY,
		grp     bigint  NOT NULL,
		pending bigint,
		taken   boolean NOT NULL DEFAULT false
	) WITH (fillfactor = 90)`,
	// markers are the stale markers of a change. Those of their series that are still pending point to them.
	`CREATE TABLE pushgateway_markers (
		id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
		grp     bigint NOT NULL,
		shard   int    NOT NULL,
		lapsed  bigint NOT NULL,
		hashes  bigint[] NOT NULL,
		content bytea  NOT NULL
	)`,
	`CREATE INDEX pushgateway_markers_group ON pushgateway_markers (grp)`,
	`CREATE INDEX pushgateway_markers_lapsed ON pushgateway_markers (lapsed)`,
}}

// migrationLock serializes the migrations of replicas. It is the ASCII of "pushgate".
const migrationLock = 0x7075736867617465

var errNewerSchema = errors.New("the schema was made by a newer release and cannot be used by this one; upgrade this replica")

// migrate makes the schema or brings it to this version, and returns the key of series. Only one replica does so at a time.
func (s *Store) migrate(ctx context.Context, conn *pgx.Conn) (key []byte, err error) {
	limited, cancel := s.limited(ctx)
	defer cancel()
	var version int
	err = pgx.BeginFunc(limited, conn, func(tx pgx.Tx) (err error) {
		version, err = s.version(limited, tx)
		return err
	})
	if err == nil && version < schemaVersion {
		err = s.upgrade(ctx, conn)
	}
	if err != nil {
		return nil, err
	}
	limited, cancel = s.limited(ctx)
	defer cancel()
	err = conn.QueryRow(limited, "SELECT key FROM pushgateway_meta").Scan(&key)
	if err == nil && len(key) != series.KeySize {
		err = fmt.Errorf("pushgateway_meta.key has %d bytes, not %d", len(key), series.KeySize)
	}
	return key, err
}

// upgrade makes the schema or brings it to this version, unless another replica has just done so.
func (s *Store) upgrade(ctx context.Context, conn *pgx.Conn) error {
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		// To fill or copy a large table takes longer than the timeout of a statement.
		if _, err := tx.Exec(ctx, "SET LOCAL statement_timeout = 0"); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", int64(migrationLock)); err != nil {
			return err
		}
		version, err := s.version(ctx, tx)
		if err != nil {
			return err
		}
		for _, statements := range migrations[min(version, schemaVersion):] {
			if _, err := tx.Exec(ctx, strings.Join(statements, ";\n")); err != nil {
				return err
			}
		}
		switch {
		case version == 0:
			if err := s.initialize(ctx, tx); err != nil {
				return err
			}
		case version < schemaVersion:
			if _, err := tx.Exec(ctx, "UPDATE pushgateway_meta SET version = $1", schemaVersion); err != nil {
				return err
			}
		}
		return nil
	})
}

// version returns the version of the schema, or 0 if there is none. The error is errNewerSchema or the database's.
func (*Store) version(ctx context.Context, tx pgx.Tx) (version int, err error) {
	var exists bool
	// Unlike to_regclass, this does not remember for the rest of the transaction that another replica had not made the table.
	if err := tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_class WHERE relname = 'pushgateway_meta' AND pg_table_is_visible(oid))").
		Scan(&exists); err != nil || !exists {
		return 0, err
	}
	var compatible int
	if err := tx.QueryRow(ctx, "SELECT version, compatible FROM pushgateway_meta").Scan(&version, &compatible); err != nil {
		return 0, err
	}
	if compatible > schemaVersion {
		return 0, errNewerSchema
	}
	return version, nil
}

// initialize fills an empty schema.
func (s *Store) initialize(ctx context.Context, tx pgx.Tx) error {
	key := make([]byte, series.KeySize)
	_, _ = rand.Read(key) // never fails
	if _, err := tx.Exec(ctx, "INSERT INTO pushgateway_meta (version, compatible, key) VALUES ($1, 1, $2)", schemaVersion, key); err != nil {
		return err
	}
	for _, table := range []string{"pushgateway_shard (id)", "pushgateway_counts (slot)"} {
		if _, err := tx.Exec(ctx, "INSERT INTO "+table+" SELECT generate_series(0, $1 - 1)", s.settings.shards); err != nil {
			return err
		}
	}
	return nil
}
