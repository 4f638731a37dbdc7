"""Where a write has effects beyond the file, and where keys usually lie: data for the gate.

A name without a leading `/` or `~` holds at any depth, also for what does not exist yet; `.config/fish` is
the folder `fish` in any `.config`. `*` stands for anything. Letters count the same in upper and lower case,
since on some file systems they are the same.
"""

from __future__ import annotations

SELF_ACTING = (
    # version control: hooks, filters, aliases and the like
    ".git", "git~1", ".hg", ".gitconfig", ".gitmodules", ".config/git", ".githooks", ".husky",
    ".pre-commit-config.yaml", "lefthook.yml",
    # this agent and others: settings, hooks, tool servers
    ".hermes", ".mcp.json", ".claude", ".claude.json", ".codex", ".cursor", ".gemini", ".config/opencode",
    # shells
    ".profile", ".bashrc", ".bash_profile", ".bash_login", ".bash_logout", ".bash_aliases",
    ".bash_completion", ".zshrc", ".zshenv", ".zprofile", ".zlogin", ".zlogout", ".oh-my-zsh",
    ".kshrc", ".mkshrc", ".cshrc", ".tcshrc", ".login", ".logout", ".inputrc",
    ".config/fish", ".config/nushell", ".config/zsh", ".envrc", ".direnv", ".config/direnv",
    "~/bin", ".local/bin",
    # logging in and the clock
    ".pam_environment", ".xprofile", ".xinitrc", ".xsession", ".xsessionrc", ".Xresources",
    ".config/autostart", ".config/systemd", ".config/environment.d", ".local/share/systemd",
    ".local/share/dbus-1", ".config/plasma-workspace", "Library/LaunchAgents", "Library/LaunchDaemons",
    "/var/spool/cron", "/var/spool/at", "/etc/cron*", "/etc/anacrontab", "/etc/profile*", "/etc/bash*",
    "/etc/zsh*", "/etc/environment*", "/etc/sudoers*", "/etc/pam.*", "/etc/security", "/etc/ssh",
    "/etc/ld.so.*", "/etc/systemd", "/etc/init*", "/etc/rc*", "/etc/udev", "/etc/xdg", "/etc/passwd",
    "/etc/group", "/etc/shadow", "/proc", "/sys",
    # programs that run what their settings say
    ".ssh", ".vimrc", ".exrc", ".nvimrc", ".nvim.lua", ".vim", ".config/nvim", ".emacs", ".emacs.d",
    ".dir-locals.el", ".config/emacs", ".tmux.conf", ".config/tmux", ".screenrc", ".gdbinit", ".lldbinit",
    ".curlrc", ".wgetrc", ".npmrc", ".yarnrc", ".yarnrc.yml", ".pypirc", ".netrc", ".config/pip",
    ".cargo/config", ".cargo/config.toml", ".cargo/bin", ".ipython", "sitecustomize.py", "usercustomize.py",
    # editors that run tasks when a folder is opened
    ".vscode", ".idea", ".devcontainer", ".config/Code",
)  # fmt: skip
"""Files and folders whose content runs, or gives rights, without anybody being asked again."""

PRIVATE = (
    "~/.ssh", "~/.gnupg", "~/.aws", "~/.azure", "~/.kube", "~/.netrc", "~/.pgpass", "~/.git-credentials",
    "~/.npmrc", "~/.pypirc", "~/.config/gcloud", "~/.config/gh", "~/.config/hub", "~/.config/git/credentials",
    "~/.docker/config.json", "~/.config/containers/auth.json", "~/.cargo/credentials.toml",
    "~/.local/share/keyrings", "~/.password-store", "~/.mozilla", "~/.config/google-chrome",
    "~/.config/chromium", "~/Library/Keychains", "/etc/shadow", "/etc/gshadow", "/etc/ssh",
    "/proc/*/environ", "/proc/*/mem", "/proc/kcore", "/dev/mem",
)  # fmt: skip
"""Where keys and passwords usually lie: reading there is asked about, too."""
