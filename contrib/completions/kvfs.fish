# Completion of kvfs and kvfs-ctl for fish.  What there is to complete is asked of the programs themselves, by --help.

function __kvfs_settings
    kvfs --help 2>/dev/null | sed -n '/^Options:/,$s/^  \([a-z][a-z-]*=[^ ]*\).*/\1/p'
end

# Behind -o: each name, with each value that can be listed, behind what stands there already.
function __kvfs_options
    set -l before (string match -r '^.*,' -- (commandline -ct))
    for setting in (__kvfs_settings)
        set -l name (string split -m 1 = -- $setting)
        if string match -qr '[a-z]' -- $name[2]
            printf "$before%s\n" $name[1]=(string split '|' -- $name[2])
        else
            printf "$before%s\n" $name[1]=
        end
    end
    printf "$before%s\n" ro allow_other noatime nodiratime strictatime noexec suid dev sync
end

function __kvfs_mounts
    awk '/ - fuse\.kvfs(-view)? / { print $5 }' /proc/self/mountinfo
end

function __kvfs_ctl_commands
    kvfs-ctl --help 2>/dev/null | sed -n '/^commands/,/^$/s/^  \([a-z]\)/\1/p' | sed 's/   *.*//; s/, /\n/g' | sed 's/ .*//' | sort -u
end

# The words behind the options, without the one that is being written.
function __kvfs_ctl_words
    set -l skip 0
    for word in (commandline -opc)[2..]
        if test $skip -eq 1
            set skip 0
        else if contains -- $word -m --mountpoint -s --socket
            set skip 1
        else if not string match -q -- '-*' $word
            echo $word
        end
    end
end

function __kvfs_ctl_is
    set -l words (__kvfs_ctl_words)
    set -q words[1]; and contains -- (string lower -- $words[1]) $argv
end

function __kvfs_ctl_no_command
    test (count (__kvfs_ctl_words)) -eq 0
end

# Keys below the mount point; files are completed beside them.
function __kvfs_keys
    set -l top (__kvfs_mounts)[1]
    test -n "$top"; and for key in $top/(commandline -ct)*
        string replace -- $top/ '' $key
    end
end

complete -c kvfs -s f -l foreground -d 'stay, and log to standard error'
complete -c kvfs -s c -l config -r -F -d 'read an ini file'
complete -c kvfs -s o -x -a '(__kvfs_options)' -d settings
complete -c kvfs -s n -l check-config -d 'say whether the settings are right'
complete -c kvfs -s T -l print-config -d 'print the settings that would hold'
complete -c kvfs -s h -l help -d help
complete -c kvfs -s V -l version -d version

complete -c kvfs-ctl -f
complete -c kvfs-ctl -s m -l mountpoint -x -a '(__kvfs_mounts)' -d 'the keyspace mounted there'
complete -c kvfs-ctl -s s -l socket -r -F -d 'the control socket'
complete -c kvfs-ctl -s h -l help -d help
complete -c kvfs-ctl -s V -l version -d version
complete -c kvfs-ctl -n __kvfs_ctl_no_command -a '(__kvfs_ctl_commands)'
complete -c kvfs-ctl -n '__kvfs_ctl_is bgsave' -a 'schedule cancel --wait'
complete -c kvfs-ctl -n '__kvfs_ctl_is bgrewriteaof' -a '--wait'
complete -c kvfs-ctl -n '__kvfs_ctl_is info' -a "(kvfs-ctl --help | sed -n 's/^  info \[SECTION[^ ]* *//p' | string split -n ', ')"
complete -c kvfs-ctl -n '__kvfs_ctl_is shutdown' -a 'nosave save now force abort'
complete -c kvfs-ctl -n '__kvfs_ctl_is config; and test (count (__kvfs_ctl_words)) -eq 1' -a 'get set rewrite resetstat'
complete -c kvfs-ctl -n '__kvfs_ctl_is config; and test (count (__kvfs_ctl_words)) -gt 1' -a '(__kvfs_settings | string replace -r "=.*" "")'
complete -c kvfs-ctl -n '__kvfs_ctl_is backup restore-to check' -F
complete -c kvfs-ctl -n '__kvfs_ctl_is backup restore-to' -a --from
complete -c kvfs-ctl -n '__kvfs_ctl_is check' -a --fix
complete -c kvfs-ctl -n '__kvfs_ctl_is expire pexpire expireat pexpireat ttl pttl expiretime pexpiretime persist exists type del unlink' -F -a '(__kvfs_keys)'
